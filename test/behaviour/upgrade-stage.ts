/** Upgrades, and clients that come back all the time meanwhile. */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import type { Fairlead } from '../support/fairlead.ts';

/** So that the system does not run out of ports. */
const PAUSE_MS = 10;
const GET = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

/** Of each kind. */
export const CLIENTS = 12;

/** Each asks once per connection, one connection after the other: what was not answered with 200, and how many were. */
export function reconnecting(
  open: () => Socket,
  faults: string[],
): { readonly answered: () => number; readonly stop: () => Promise<number> } {
  const run = { isOver: false };
  let answered = 0;
  const one = async (): Promise<void> => {
    while (!run.isOver) {
      const outcome = await answerTo(open());
      if (outcome === '200') answered++;
      else faults.push(outcome);
      await sleep(PAUSE_MS);
    }
  };
  const all = Promise.all(Array.from({ length: CLIENTS }, one));
  const stop = async (): Promise<number> => {
    run.isOver = true;
    await all;
    return answered;
  };
  afterTest(async () => void (await stop()));
  return { answered: () => answered, stop };
}

function answerTo(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.write(GET);
    socket.setEncoding('latin1').on('data', (more: string) => {
      text += more;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on('close', () => resolve(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? `cut off: ${text}`));
  });
}

/** @returns the process that has taken over, which ends with the test */
export async function upgrade({ adminUrl }: Pick<Fairlead, 'adminUrl'>): Promise<number> {
  const response = await fetch(`${adminUrl}/upgrade`, { method: 'POST' });
  const body = (await response.json()) as { readonly pid: number };
  expect([response.status, body]).toEqual([200, { pid: expect.any(Number) }]);
  afterTest(() => {
    try {
      process.kill(body.pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  });
  return body.pid;
}

/** Of the processes, one after the other. */
export function ended(fairlead: Fairlead): number {
  return fairlead.logs().filter(({ event }) => event === 'stopped').length;
}
