/** Pooled connections are closed in time, `timeouts.backend_max_age`, however much they are used, and never while they are. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Backend } from '../../src/data/backend/backend.ts';
import { Descriptors } from '../../src/data/descriptors.ts';
import { ThreadIo } from '../../src/data/stream/thread-io.ts';
import { createBackendCounters } from '../../src/snapshot/counters.ts';
import { okResponse } from '../support/raw-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { waitFor, within } from '../support/wait-for.ts';
import { get, QUIET_HEALTH, scriptedBackend, startProxy } from './stage.ts';

const HEAD_LIMITS = { requestLineBytes: 1024, headBytes: 8192, fields: 100, isLenient: false };

const LONG_MS = 20_000;

function notCalled(): never {
  throw new Error('nothing happens here');
}

test('a connection in constant use is replaced in time, and no request is lost', async () => {
  const backend = await scriptedBackend();
  const fairlead = await startProxy([backend.url], { timeouts: { backend_max_age: '400ms' } });
  const client = await rawClient(fairlead.port);
  const from = performance.now();
  const used = () => new Set(backend.served('/busy')).size;
  await waitFor(async () => {
    await client.write(get('/busy'));
    expect((await client.readResponse()).status).toBe(200);
    return used() >= 4;
  }, LONG_MS);
  // Three of them have lived, for no less than nine tenths of it.
  expect(performance.now() - from).toBeGreaterThan(3 * 360);
});

test('an idle one is closed, and one in use only behind its request', async () => {
  const backend = await scriptedBackend();
  const held: (() => void)[] = [];
  backend.on('/slow', async (connection) => {
    await new Promise<void>((resolve) => held.push(resolve));
    await connection.write(okResponse('late'));
  });
  const fairlead = await startProxy([backend.url], { timeouts: { backend_max_age: '300ms' } });
  const client = await rawClient(fairlead.port);
  await client.write(get('/slow'));
  const slow = await backend.request('/slow');
  await fetch(`${fairlead.url}/idle`);
  const idle = await backend.request('/idle');
  expect(await within(idle.closed, LONG_MS, 'the end of the idle one')).toBe('end');
  expect(slow.isEnded).toBe(false);
  held[0]?.();
  expect((await client.readResponse()).body.toString()).toBe('late');
  expect(await within(slow.closed, LONG_MS, 'the end of the one in use')).toBe('end');
});

test('a reload gives those that are idle another age', async () => {
  const backend = await scriptedBackend();
  const config = { timeouts: { backend_max_age: false } };
  const fairlead = await startProxy([backend.url], config);
  await fetch(`${fairlead.url}/kept`);
  const connection = await backend.request('/kept');
  await writeFile(
    join(fairlead.cwd, 'fairlead.config.json'),
    JSON.stringify({
      ...QUIET_HEALTH,
      backends: [backend.url],
      timeouts: { backend_max_age: '1ms' },
    }),
  );
  process.kill(fairlead.pid, 'SIGHUP');
  expect(await within(connection.closed, LONG_MS, 'the end of its new age')).toBe('end');
});

test('what was opened together ends within a tenth around it, apart from each other', () => {
  const spec = {
    id: 0,
    url: 'http://127.0.0.1:1',
    tls: false,
    host: '127.0.0.1',
    port: 1,
    authority: '127.0.0.1:1',
    socketPath: '',
    basePath: '',
    weight: 1,
    sessionToken: '',
    otherTokens: [],
    counters: createBackendCounters(1),
  };
  const backend = new Backend(spec, HEAD_LIMITS, {
    threadIndex: 0,
    threadCount: 1,
    io: new ThreadIo(),
    parsers: { borrowResponseParser: notCalled, returnResponseParser: notCalled },
    barrier: { crashed: notCalled },
    descriptors: new Descriptors(),
  });
  const shares = Array.from({ length: 100 }, () => backend.nextAgeShare()).toSorted(
    (a, b) => a - b,
  );
  expect(shares[0]).toBeGreaterThanOrEqual(0.9);
  expect(shares[99]).toBeLessThanOrEqual(1.1);
  const gaps = shares.slice(1).map((share, index) => share - (shares[index] as number));
  expect(Math.max(...gaps)).toBeLessThan(0.01);
});
