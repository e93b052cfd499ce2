/** `GET /cluster` for eyes. */
import { z } from 'zod';
import { inWords } from '../control/cluster/state-words.ts';
import type { JsonObject } from './admin/admin-client.ts';
import { table } from './terminal/table.ts';

const ANSWER = z.object({
  name: z.string(),
  instance: z.string(),
  state: z.string(),
  reason: z.string().nullable(),
  revision: z.number(),
  config_age_seconds: z.number(),
  refused: z.array(z.object({ key: z.string(), reason: z.string() })),
  members: z.array(
    z.object({
      instance: z.string(),
      address: z.string().nullable(),
      version: z.string(),
      applied: z.number(),
      refused: z.array(z.unknown()),
    }),
  ),
  members_are_known: z.boolean(),
  health: z.object({
    disagreements: z.array(
      z.object({
        pool: z.string(),
        backend: z.string(),
        alive: z.array(z.string()),
        not_alive: z.array(z.string()),
      }),
    ),
    silent: z.array(z.object({ instance: z.string(), reason: z.string() })),
  }),
});

const ACCEPT =
  'look at what it has (fairlead cluster export), then fairlead cluster accept-epoch: it is the one from now on';

const APPLIED = 2;
const REFUSED = 3;

/** False: the answer is what was known before, since the store is not there, or is another one. */
export function isStoreFollowed(answer: JsonObject): boolean {
  const { state, members_are_known: isKnown } = ANSWER.parse(answer);
  return state === 'current' && isKnown;
}

export function showCluster(answer: JsonObject): string {
  const cluster = ANSWER.parse(answer);
  const { state, reason, config_age_seconds: age, members, health } = cluster;
  const lines = [
    `cluster ${cluster.name}, as ${cluster.instance} sees it: revision ${cluster.revision}`,
    state === 'current'
      ? 'the store is followed'
      : `the store ${inWords(state)} (${reason ?? 'no reason is known'}); the configuration is ${Math.round(age)} s old`,
    ...(state === 'held' ? [ACCEPT] : []),
    ...(cluster.members_are_known
      ? []
      : [
          `the store can’t be asked: ${members.length === 0 ? 'no members are known' : 'these members are known from before'}`,
        ]),
    '',
    table(
      [
        ['INSTANCE', 'ADDRESS', 'REVISION', 'REFUSED', 'VERSION'],
        ...members.map(({ instance, address, applied, refused, version }) => [
          instance,
          address ?? '-',
          String(applied),
          String(refused.length),
          version,
        ]),
      ],
      new Set([APPLIED, REFUSED]),
    ),
    ...cluster.refused.map(({ key, reason: why }) => `not run on as it is: ${key}: ${why}`),
    ...health.disagreements.map(
      ({ pool, backend, alive, not_alive: dead }) =>
        `${backend} in pool ${pool}: alive for ${alive.join(', ')}, not for ${dead.join(', ')}`,
    ),
    ...health.silent.map(
      ({ instance, reason: why }) => `${instance} does not say what it thinks: ${why}`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}
