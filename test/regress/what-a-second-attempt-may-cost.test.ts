/**
 * Second attempts, hedges and the queue between them: each test is named after what happened. Two backends as a rule; which of
 * them gets the first request is not said, so scripts are the same at both.
 */
import { expect, test } from 'vitest';
import {
  answer,
  type Connection,
  get,
  leftover,
  metrics,
  NOTHING,
  type Script,
  type ScriptedBackend,
  scriptedBackend,
  silent,
  startProxy,
} from '../behaviour/stage.ts';
import { rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const BUSY = 'HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy';

async function setUp(count: number, config: Readonly<Record<string, unknown>>) {
  const backends: ScriptedBackend[] = [];
  for (let index = 0; index < count; index++) backends.push(await scriptedBackend());
  const fairlead = await startProxy(
    backends.map(({ url }) => url),
    { outlier_detection: false, ...config },
  );
  const served = (path: string): number =>
    backends.reduce((sum, backend) => sum + backend.served(path).length, 0);
  return {
    fairlead,
    backends,
    served,
    everywhere(path: string, script: Script): void {
      for (const backend of backends) backend.on(path, script);
    },
    /** Sends a request that nobody answers, and waits until a backend has it. */
    async occupy(path = '/occupied'): Promise<void> {
      for (const backend of backends) backend.on(path, silent);
      const client = await rawClient(fairlead.port);
      await client.write(get(path));
      await waitFor(() => served(path) === 1);
    },
    async ask(path: string, fields: readonly string[] = []) {
      const client = await rawClient(fairlead.port);
      await client.write(get(path, fields));
      const response = await client.readResponse();
      client.reset();
      return response;
    },
    metric: async (name: string): Promise<number> =>
      (await metrics(fairlead)).get(`${name}{pool="default"}`) ?? -1,
    line: (path: string) =>
      waitFor(() => fairlead.accessLines().find((line) => line['path'] === path)),
  };
}

function dies(connection: Connection): void {
  connection.end();
}

test('a retry that waits for one backend held up those that could go to another', async () => {
  const the = await setUp(2, { max_requests: 1, queue: { size: 10, timeout: '3s' } });
  the.everywhere('/dies', dies);
  await the.occupy();
  const failing = await rawClient(the.fairlead.port);
  await failing.write(get('/dies'));
  await waitFor(async () => (await the.metric('fairlead_queue_depth')) === 1);
  expect((await the.ask('/next')).status).toBe(200);
  // It still waits.
  expect(await the.metric('fairlead_queue_depth')).toBe(1);
  failing.reset();
});

test('the time in the queue was missing from the duration of a request that had failed before it', async () => {
  const the = await setUp(2, { max_requests: 1, queue: { size: 10, timeout: '500ms' } });
  the.everywhere('/dies', dies);
  await the.occupy();
  expect((await the.ask('/dies')).status).toBe(503);
  const line = await the.line('/dies');
  expect(line['queue_ms']).toBeGreaterThanOrEqual(500);
  expect(line['duration_ms']).toBeGreaterThanOrEqual(line['queue_ms'] as number);
});

test('the budget paid for retries that nobody was left for', async () => {
  const the = await setUp(1, {});
  the.everywhere('/dies', dies);
  for (let round = 0; round < 60; round++) expect((await the.ask('/dies')).status).toBe(502);
  expect(the.served('/dies')).toBe(60);
  expect(await the.metric('fairlead_retries_refused_total')).toBe(0);
});

test('a client waited for the pause before a retry that nobody was left for', async () => {
  const the = await setUp(2, { retries: { backoff: '60s' } });
  the.everywhere('/dies', dies);
  // Within the five seconds of `readResponse`.
  expect((await the.ask('/dies')).status).toBe(502);
  expect(the.served('/dies')).toBe(2);
});

test('a hedge went to a backend that had been removed, by a strategy that had been replaced', async () => {
  const the = await setUp(2, { retries: { hedge_after: '1s' } });
  the.everywhere('/slow', silent);
  const client = await rawClient(the.fairlead.port);
  await client.write(get('/slow'));
  await waitFor(() => the.served('/slow') === 1);
  const removed = the.backends.find((backend) => backend.served('/slow').length === 0);
  const added = await scriptedBackend();
  const call = async (method: string, path: string, body: object): Promise<void> => {
    const response = await fetch(`${the.fairlead.adminUrl}${path}`, {
      method,
      body: JSON.stringify(body),
    });
    expect(response.ok).toBe(true);
  };
  await call('POST', '/backends', { url: added.url });
  await call('PUT', '/strategy', { strategy: 'least-connections' });
  await call('DELETE', '/backends', { url: removed?.url });
  expect((await client.readResponse()).status).toBe(200);
  expect([added.served('/slow').length, removed?.served('/slow').length]).toEqual([1, 0]);
  client.reset();
});

test('a hedge that won took the session with it', async () => {
  const the = await setUp(2, {
    sticky: { by: 'header', name: 'x-user' },
    retries: { hedge_after: '300ms' },
  });
  const fields = ['X-User: somebody'];
  await the.ask('/first', fields);
  const home = the.backends.find((backend) => backend.served('/first').length === 1);
  home?.on('/slow', silent);
  expect((await the.ask('/slow', fields)).status).toBe(200);
  for (let round = 0; round < 4; round++) await the.ask('/next', fields);
  expect(home?.served('/next').length).toBe(4);
});

test('hedges that found nobody were paid for', async () => {
  const the = await setUp(1, { retries: { hedge_after: '10ms', budget_percent: 1 } });
  let arrived = 0;
  the.everywhere('/slow', async (connection) => {
    arrived++;
    // All are older than a hedge when they are answered.
    await waitFor(() => arrived === 40);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await connection.write(OK);
  });
  await Promise.all(Array.from({ length: 40 }, () => the.ask('/slow')));
  expect(await the.metric('fairlead_hedges_total')).toBe(0);
  expect(await the.metric('fairlead_retries_refused_total')).toBe(0);
});

test('a hedge won with an error, because it had sent an interim response before', async () => {
  const the = await setUp(2, { retries: { hedge_after: '50ms' } });
  let turn = 0;
  the.everywhere('/hints', async (connection) => {
    if (turn++ === 0) {
      await waitFor(() => the.served('/hints') === 2);
      await connection.write(OK);
    } else {
      await connection.write(`HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${BUSY}`);
    }
  });
  expect((await the.ask('/hints')).status).toBe(200);
});

test('a retry went to the backend at which the hedge had failed, not to the one that was left', async () => {
  const the = await setUp(3, { retries: { hedge_after: '50ms' } });
  let turn = 0;
  the.everywhere('/fails', async (connection) => {
    turn++;
    if (turn === 1) await waitFor(() => turn === 2);
    if (turn <= 2) dies(connection);
    else await connection.write(OK);
  });
  expect((await the.ask('/fails')).status).toBe(200);
  expect(the.backends.map((backend) => backend.served('/fails').length)).toEqual([1, 1, 1]);
});

test('a status that is tried again was lost when the others were full', async () => {
  const the = await setUp(2, { max_requests: 1, retries: { on_status: [503] } });
  the.everywhere('/busy', answer(BUSY));
  await the.occupy();
  const response = await the.ask('/busy');
  expect([response.status, String(response.body)]).toEqual([503, 'busy']);
});

test('a 429 that is tried again took its backend out', async () => {
  const the = await setUp(2, {
    outlier_detection: { consecutive_failures: 3 },
    retries: { on_status: [429], budget_percent: 100 },
  });
  the.backends[0]?.on('/limited', answer('HTTP/1.1 429 Slow\r\nContent-Length: 2\r\n\r\nno'));
  for (let round = 0; round < 12; round++) expect((await the.ask('/limited')).status).toBe(200);
  expect(the.fairlead.logs().map(({ event }) => event)).not.toContain('backend.ejected');
  // Round robin: every second request began there.
  expect(the.backends[0]?.served('/limited').length).toBeGreaterThan(3);
});

test('the keep-alive race counted as a retry and as a failure of the backend', async () => {
  const the = await setUp(1, {});
  let turn = 0;
  the.everywhere('/race', async (connection) => {
    if (++turn === 2) dies(connection);
    else await connection.write(OK);
  });
  for (let round = 0; round < 2; round++) expect((await the.ask('/race')).status).toBe(200);
  expect(turn).toBe(3);
  const page = await metrics(the.fairlead);
  const labels = `{pool="default",backend="${the.backends[0]?.url}"}`;
  expect(page.get(`fairlead_retries_total${labels}`)).toBe(0);
  expect(page.get(`fairlead_backend_failures_total${labels}`)).toBe(0);
});

test('the pool’s breaker spent its probes while there was no backend to send them to', async () => {
  const the = await setUp(1, {
    circuit_breaker: { min_requests: 5, interval: '1s', open: '1s', half_open_requests: 2 },
  });
  let isBad = true;
  the.everywhere('/', (connection) =>
    connection.write(isBad ? 'HTTP/1.1 500 Bad\r\nContent-Length: 2\r\n\r\nno' : OK),
  );
  const errorOf = async (): Promise<string> =>
    /ERR_\w+/.exec(String((await the.ask('/')).body))?.[0] ?? '';
  const setAlive = async (alive: boolean): Promise<void> => {
    await fetch(`${the.fairlead.adminUrl}/backends/0/status`, {
      method: 'PUT',
      body: JSON.stringify({ alive }),
    });
  };
  await waitFor(async () => (await errorOf()) === 'ERR_CIRCUIT_OPEN');
  isBad = false;
  await setAlive(false);
  await waitFor(async () => (await errorOf()) === 'ERR_NO_BACKEND');
  // More than there are probes.
  for (let round = 0; round < 10; round++) expect(await errorOf()).toBe('ERR_NO_BACKEND');
  await setAlive(true);
  await waitFor(async () => (await errorOf()) === '', 900);
  expect(await leftover(the.fairlead)).toEqual(NOTHING);
});
