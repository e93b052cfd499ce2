/** `POST /upgrade`: another process takes the place of this one. */
import type { Actor } from '../audit.ts';
import type { Precondition } from '../change-terms.ts';
import { upgraded } from './answers.ts';
import { preconditionOf } from './etag.ts';
import { plainAnswer } from './form.ts';
import type { Route } from './router.ts';

/** Resolves with the id of the process that has taken over. */
export type Upgrading = (actor: Actor, precondition: Precondition | undefined) => Promise<number>;

export function upgradeRoute(upgrade: Upgrading): Route {
  return {
    path: '/upgrade',
    summary: 'start the program that is on the disk now, hand all sockets to it, and end',
    methods: {
      POST: {
        says: 'hands all sockets to a new process of the program that is on the disk now',
        answers: { 200: plainAnswer('It has taken over; the old one drains and ends.', upgraded) },
        problems: [409],
        handle: async ({ actor, request }) => ({
          status: 200,
          body: { pid: await upgrade(actor, preconditionOf(request)) },
          headers: { Connection: 'close' },
        }),
      },
    },
  };
}
