/**
 * 200 idle clients at a SIGTERM were all closed within 17 ms, and all came back at once, to whoever was left.
 */
import { expect, test } from 'vitest';
import { drainTurns } from '../../src/data/listen/drain-turns.ts';
import { startProxy } from '../behaviour/stage.ts';
import { rawClient } from '../support/raw-client.ts';
import { within } from '../support/wait-for.ts';

const LONG_MS = 60_000;

test('they go one after the other, in the first half of the time', async () => {
  const fairlead = await startProxy([], { timeouts: { drain: '8s' } });
  const clients = await Promise.all(Array.from({ length: 200 }, () => rawClient(fairlead.port)));
  await Promise.all(
    clients.map(async (client) => {
      await client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await client.readResponse({ ms: LONG_MS });
    }),
  );
  const startedAt = performance.now();
  const ends = clients.map(
    (client) =>
      new Promise<number>((resolve) => {
        client.socket.on('close', () => resolve(performance.now() - startedAt));
        client.socket.on('end', () => client.end());
      }),
  );
  const exited = fairlead.stop('SIGTERM', LONG_MS);
  const times = (await within(Promise.all(ends), LONG_MS, 'the end of all')).toSorted(
    (a, b) => a - b,
  );
  expect(await exited).toBe(0);
  // Two threads have a hundred each: no instant sees many of them go, however late the whole is.
  expect((times.at(-1) as number) - (times[0] as number)).toBeGreaterThan(2_000);
  expect(fairlead.logs().some(({ event }) => event === 'drain.cut_off')).toBe(false);
});

test.each([
  // The longest spread; half of a short drain; a few clients wait no longer than they need.
  [30_000, 200, { firstMs: 500, stepMs: 22.5 }],
  [8_000, 200, { firstMs: 500, stepMs: 17.5 }],
  [600, 100, { firstMs: 300, stepMs: 0 }],
  [0, 3, { firstMs: 0, stepMs: 0 }],
  [30_000, 2, { firstMs: 500, stepMs: 40 }],
])('%i ms for %i clients', (durationMs, count, turns) => {
  expect(drainTurns(durationMs, count)).toEqual(turns);
});
