/**
 * A shutdown that cut streams at its deadline said nothing of it: the last connection that it cut itself was taken for the
 * end of all, with nothing lost.
 */
import { expect, test } from 'vitest';
import { startStage } from '../behaviour/stage.ts';
import { rawClient } from '../support/raw-client.ts';

const LONG_MS = 60_000;

test.each([1, 3])('%i streams', async (count) => {
  const stage = await startStage({ timeouts: { drain: '700ms' } });
  stage.backend.on('/stream', async (connection) => {
    await connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n');
    await connection.closed;
  });
  const clients = await Promise.all(
    Array.from({ length: count }, () => rawClient(stage.fairlead.port)),
  );
  for (const client of clients) {
    await client.write('GET /stream HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.readUntil('hi\r\n', LONG_MS);
  }
  // One that is idle loses nothing.
  const idle = await rawClient(stage.fairlead.port);
  await idle.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await idle.readResponse({ ms: LONG_MS });
  expect(await stage.fairlead.stop('SIGTERM', LONG_MS)).toBe(0);
  expect(stage.fairlead.logs().filter(({ event }) => event === 'drain.cut_off')).toEqual([
    expect.objectContaining({ level: 'warn', reset: count }),
  ]);
});
