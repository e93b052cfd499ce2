/**
 * Five long polls longer than `timeouts.response`, five errors of one URL, or an event stream without events took a backend
 * out that did well: what may rightly be silent, or fails by one URL, was held against all of it.
 */
import { expect, test } from 'vitest';
import { BUSY, severalBackends } from '../behaviour/several-backends.ts';
import { type Script, silent } from '../behaviour/stage.ts';
import { rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';

type Stage = Awaited<ReturnType<typeof severalBackends>>;

/** Sampled often, over a time in which all of a test lies. */
const OUTLIER = { interval: '1m', min_requests: 20 };
const QUICK = { outlier_detection: OUTLIER, timeouts: { response: '200ms', idle: '300ms' } };

const STREAM: Script = async (connection) => {
  await connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhi!\r\n');
  await connection.closed;
};

function ejected({ fairlead }: Stage): unknown[] {
  return fairlead.logs().filter(({ event }) => event === 'backend.ejected');
}

/** So many at a time: each is cut. */
async function poll(the: Stage, path: string, count: number): Promise<void> {
  const statuses = await Promise.all(
    Array.from({ length: count }, async () => (await the.ask(path)).status),
  );
  expect(statuses).toEqual(Array(count).fill(504));
}

/** The control plane has looked at what was counted, twice. */
async function looked({ fairlead }: Stage): Promise<void> {
  const at = Date.now();
  await waitFor(() => Date.now() - at > 2_500);
  expect((await fetch(`${fairlead.adminUrl}/status`)).status).toBe(200);
}

test('long polls that are cut eject nobody, alone or beside good answers', async () => {
  const the = await severalBackends(2, QUICK);
  the.everywhere('/poll', silent);
  for (let round = 0; round < 3; round++) await poll(the, '/poll', 30);
  for (let round = 0; round < 10; round++) expect((await the.ask('/')).status).toBe(200);
  await poll(the, '/poll', 30);
  await looked(the);
  expect(ejected(the)).toEqual([]);
  for (const { alive } of await views(the)) expect(alive).toBe(true);
  expect(await the.line('/poll')).toMatchObject({
    error: 'ERR_BACKEND_RESPONSE_TIMEOUT',
    error_detail: 'no response head within 200 ms (timeouts.response)',
  });
}, 30_000);

test('nor do they open the circuit breaker', async () => {
  const the = await severalBackends(1, {
    ...QUICK,
    circuit_breaker: { min_requests: 5, interval: '1m' },
  });
  the.everywhere('/poll', silent);
  await poll(the, '/poll', 30);
  await looked(the);
  expect((await the.ask('/')).status).toBe(200);
  expect(the.fairlead.logs().map(({ event }) => event)).not.toContain('breaker.opened');
}, 30_000);

test('one attempt that is cut says which setting it was', async () => {
  const the = await severalBackends(1, {
    outlier_detection: OUTLIER,
    retries: { per_try_timeout: '100ms', attempts: 2 },
  });
  the.everywhere('/poll', silent);
  await poll(the, '/poll', 1);
  expect(await the.line('/poll')).toMatchObject({
    error: 'ERR_BACKEND_TRY_TIMEOUT',
    error_detail: 'no response head within 100 ms (retries.per_try_timeout)',
  });
});

test('streams without events eject nobody', async () => {
  const the = await severalBackends(2, QUICK);
  the.everywhere('/events', STREAM);
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      const client = await rawClient(the.fairlead.port);
      await client.write(the.get('/events'));
      await client.readUntil('hi!\r\n');
      await client.closed;
    }),
  );
  await looked(the);
  expect(ejected(the)).toEqual([]);
  expect(await the.line('/events')).toMatchObject({
    error: 'ERR_BACKEND_BODY_TIMEOUT',
    error_detail: 'no byte of the body for 300 ms (timeouts.idle)',
  });
}, 30_000);

test('one URL that fails eleven times ejects nobody', async () => {
  const the = await severalBackends(2, { outlier_detection: {} });
  the.everywhere('/bad', (connection) => connection.write(BUSY));
  for (let round = 0; round < 22; round++) {
    expect((await the.ask('/bad')).status).toBe(503);
    // Others go well, at both.
    for (let turn = 0; turn < 4; turn++) expect((await the.ask('/')).status).toBe(200);
  }
  await looked(the);
  expect(ejected(the)).toEqual([]);
}, 30_000);

test('five errors of one URL and nothing else eject nobody', async () => {
  const the = await severalBackends(2, { outlier_detection: {} });
  the.everywhere('/bad', (connection) => connection.write(BUSY));
  for (let round = 0; round < 18; round++) expect((await the.ask('/bad')).status).toBe(503);
  await looked(the);
  expect(ejected(the)).toEqual([]);
}, 30_000);

test('five connections that break do', async () => {
  const the = await severalBackends(2, { outlier_detection: {} });
  the.backends[0]?.on('/', (connection) => connection.reset());
  await waitFor(async () => {
    expect((await the.ask('/')).status).toBe(200);
    return ejected(the).length > 0;
  });
  expect(the.backends[0]?.served('/').length).toBe(5);
  expect(the.backends[1]?.served('/').length).toBeGreaterThanOrEqual(5);
});

test('a silent backend whose check fails as well is out', async () => {
  const the = await severalBackends(2, {
    ...QUICK,
    health_check_method: 'http',
    health_check_frequency: '1m',
    health_check_down_frequency: '100ms',
    health_check_timeout: '200ms',
  });
  const hung = the.backends[0];
  hung?.on('/', silent);
  hung?.on('/health', silent);
  await waitFor(async () => {
    await the.ask('/');
    return (await views(the)).some(({ alive }) => !alive);
  });
  // Not by the regular check: the next one was most of a minute away.
  expect(the.fairlead.logs().map(({ event }) => event)).toContain('backend.down');
});

async function views({ fairlead }: Stage): Promise<readonly { readonly alive: boolean }[]> {
  const status = (await (await fetch(`${fairlead.adminUrl}/status`)).json()) as {
    readonly backends: readonly { readonly alive: boolean }[];
  };
  return status.backends;
}
