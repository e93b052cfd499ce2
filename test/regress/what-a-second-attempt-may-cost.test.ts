/**
 * Second attempts, hedges and the queue between them: each test is named after what happened. Two backends as a rule; which of
 * them gets the first request is not said, so scripts are the same at both.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { BUSY, OK, severalBackends } from '../behaviour/several-backends.ts';
import {
  answer,
  type Connection,
  leftover,
  metrics,
  NOTHING,
  scriptedBackend,
  silent,
} from '../behaviour/stage.ts';
import { rawClient } from '../support/raw-client.ts';
import { leastOf, waitFor } from '../support/wait-for.ts';

function dies(connection: Connection): void {
  connection.end();
}

test('a retry that waits for one backend held up those that could go to another', async () => {
  const the = await severalBackends(2, { max_requests: 1, queue: { size: 10, timeout: '3s' } });
  the.everywhere('/dies', dies);
  await the.occupy();
  const failing = await rawClient(the.fairlead.port);
  await failing.write(the.get('/dies'));
  await waitFor(async () => (await the.metric('fairlead_queue_depth')) === 1);
  expect((await the.ask('/next')).status).toBe(200);
  // It still waits.
  expect(await the.metric('fairlead_queue_depth')).toBe(1);
  failing.reset();
});

test('the time in the queue was missing from the duration of a request that had failed before it', async () => {
  const the = await severalBackends(2, { max_requests: 1, queue: { size: 10, timeout: '500ms' } });
  the.everywhere('/dies', dies);
  await the.occupy();
  expect((await the.ask('/dies')).status).toBe(503);
  const line = await the.line('/dies');
  expect(line['queue_ms']).toBeGreaterThanOrEqual(500);
  expect(line['duration_ms']).toBeGreaterThanOrEqual(line['queue_ms'] as number);
});

test('the budget paid for retries that nobody was left for', async () => {
  const the = await severalBackends(1, {});
  the.everywhere('/dies', dies);
  for (let round = 0; round < 60; round++) expect((await the.ask('/dies')).status).toBe(502);
  expect(the.served('/dies')).toBe(60);
  expect(await the.metric('fairlead_retries_refused_total')).toBe(0);
});

test('a client waited for the pause before a retry that nobody was left for', async () => {
  const the = await severalBackends(2, { retries: { backoff: '60s' } });
  the.everywhere('/dies', dies);
  // Within the five seconds of `readResponse`.
  expect((await the.ask('/dies')).status).toBe(502);
  expect(the.served('/dies')).toBe(2);
});

test('a client waited for the pause before a retry that its deadline would not have let begin', async () => {
  const the = await severalBackends(3, {
    timeouts: { total: '20s' },
    retries: { backoff: '100h' },
  });
  the.everywhere('/dies', dies);
  // Within the five seconds of `readResponse`, and with what has failed.
  const response = await the.ask('/dies');
  expect(response.status).toBe(502);
  expect(String(response.body)).toContain('ERR_BACKEND_CLOSED');
  expect(the.served('/dies')).toBe(2);
});

test('a hedge went to a backend that had been removed, by a strategy that had been replaced', async () => {
  const the = await severalBackends(2, { retries: { hedge_after: '1s' } });
  the.everywhere('/slow', silent);
  const client = await rawClient(the.fairlead.port);
  await client.write(the.get('/slow'));
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
  const the = await severalBackends(2, {
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
  const the = await severalBackends(1, { retries: { hedge_after: '10ms', budget_percent: 1 } });
  let arrived = 0;
  the.everywhere('/slow', async (connection) => {
    arrived++;
    // All are older than a hedge when they are answered.
    await waitFor(() => arrived === 40);
    await sleep(50);
    await connection.write(OK);
  });
  await Promise.all(Array.from({ length: 40 }, () => the.ask('/slow')));
  expect(await the.metric('fairlead_hedges_total')).toBe(0);
  expect(await the.metric('fairlead_retries_refused_total')).toBe(0);
});

test('a hedge won with an error, because it had sent an interim response before', async () => {
  const the = await severalBackends(2, { retries: { hedge_after: '50ms' } });
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
  const the = await severalBackends(3, { retries: { hedge_after: '50ms' } });
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
  const the = await severalBackends(2, { max_requests: 1, retries: { on_status: [503] } });
  the.everywhere('/busy', answer(BUSY));
  await the.occupy();
  const response = await the.ask('/busy');
  expect([response.status, String(response.body)]).toEqual([503, 'busy']);
});

test('a status that is tried again was lost when the pause before that was drawn twice', async () => {
  const the = await severalBackends(3, {
    timeouts: { total: '300ms' },
    retries: { on_status: [503], backoff: '600ms', budget_percent: 100 },
  });
  the.everywhere('/busy', answer(BUSY));
  // Of every second one the pause is too long.
  const asked = Array.from({ length: 20 }, () => the.ask('/busy').then(({ status }) => status));
  expect(await Promise.all(asked)).not.toContain(502);
  await the.line('/busy');
});

test('a request that had lost the keep-alive race was sent to the end of the queue, which was full', async () => {
  const the = await severalBackends(1, { max_requests: 1, queue: { size: 1, timeout: '5s' } });
  let turn = 0;
  the.everywhere('/race', async (connection) => {
    if (++turn === 1) {
      await waitFor(async () => (await the.metric('fairlead_queue_depth')) === 1);
      dies(connection);
    } else await connection.write(OK);
  });
  the.everywhere('/before', answer(OK));
  the.everywhere('/behind', answer(OK));
  expect((await the.ask('/before')).status).toBe(200);
  const raced = the.ask('/race');
  await waitFor(() => turn === 1);
  const behind = the.ask('/behind');
  expect((await raced).status).toBe(200);
  expect((await behind).status).toBe(200);
  expect(turn).toBe(2);
});

test('a 429 that is tried again took its backend out', async () => {
  const the = await severalBackends(2, {
    outlier_detection: { consecutive_failures: 3, consecutive_5xx: 3 },
    retries: { on_status: [429], budget_percent: 100 },
  });
  the.backends[0]?.on('/limited', answer('HTTP/1.1 429 Slow\r\nContent-Length: 2\r\n\r\nno'));
  for (let round = 0; round < 12; round++) expect((await the.ask('/limited')).status).toBe(200);
  expect(the.fairlead.logs().map(({ event }) => event)).not.toContain('backend.ejected');
  // Round robin: every second request began there.
  expect(the.backends[0]?.served('/limited').length).toBeGreaterThan(3);
});

test('the keep-alive race counted as a retry and as a failure of the backend', async () => {
  const the = await severalBackends(1, {});
  let turn = 0;
  the.everywhere('/race', async (connection) => {
    if (++turn === 2) dies(connection);
    else await connection.write(OK);
  });
  for (let round = 0; round < 2; round++) expect((await the.ask('/race')).status).toBe(200);
  expect(turn).toBe(3);
  const page = await metrics(the.fairlead);
  const labels = `{pool="${the.fairlead.pool}",backend="${the.backends[0]?.url}"}`;
  const retries = [...page].filter(([name]) => name.startsWith('fairlead_retries_total{'));
  expect(retries.length).toBeGreaterThan(0);
  expect(retries.filter(([, count]) => count !== 0)).toEqual([]);
  expect(page.get(`fairlead_backend_failures_total${labels}`)).toBe(0);
});

test('the pool’s breaker spent its probes while there was no backend to send them to', async () => {
  const the = await severalBackends(1, {
    circuit_breaker: { min_requests: 5, interval: '10s', open: '1s', half_open_requests: 2 },
  });
  let isBad = true;
  the.everywhere('/', (connection) =>
    connection.write(isBad ? 'HTTP/1.1 500 Bad\r\nContent-Length: 2\r\n\r\nno' : OK),
  );
  const errorOf = async (): Promise<string> =>
    /ERR_\w+/.exec(String((await the.ask('/')).body))?.[0] ?? '';
  const setAlive = async (alive: boolean): Promise<void> => {
    await fetch(`${the.fairlead.adminUrl}/backends/${the.id(0)}/status`, {
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
  // Not a moment in which it is full: no probe was lost to requests that nobody could be asked for.
  const first = await waitFor(async () => {
    const error = await errorOf();
    return error === 'ERR_NO_BACKEND' ? null : `"${error}"`;
  });
  expect(first).toBe('""');
  expect(await leftover(the.fairlead)).toEqual(NOTHING);
});

test('a status that is tried again was lost when the others had no connection left, or only a backup had', async () => {
  const the = await severalBackends(2, { max_connections: 1, retries: { on_status: [503] } });
  the.everywhere('/busy', answer(BUSY));
  await the.occupy();
  const response = await the.ask('/busy');
  expect([response.status, String(response.body)]).toEqual([503, 'busy']);

  const spare = await severalBackends(3, {
    max_requests: 1,
    retries: { on_status: [503] },
    strategy: 'least-connections',
  });
  await fetch(`${spare.fairlead.adminUrl}/backends/${spare.id(2)}`, {
    method: 'PATCH',
    body: JSON.stringify({ weight: 0 }),
  });
  spare.everywhere('/busy', answer(BUSY));
  await spare.occupy();
  const again = await spare.ask('/busy');
  expect([again.status, String(again.body)]).toEqual([503, 'busy']);
});

test('requests that were refused paid for retries', async () => {
  const the = await severalBackends(2, {
    rate_limit: { rate: 1, per: '1m', burst: 100, by: 'ip' },
    retries: { budget_percent: 10 },
  });
  the.everywhere('/dies', dies);
  const asked = Array.from({ length: 800 }, () => the.ask('/dies').then(({ status }) => status));
  const statuses = await Promise.all(asked);
  expect(statuses.filter((status) => status === 429).length).toBe(700);
  // A tenth of the hundred, and the 30 in ten seconds that are always allowed.
  expect(the.served('/dies')).toBeLessThanOrEqual(100 + 10 + 30);
});

test('a hedge that failed did not count as a try', async () => {
  const the = await severalBackends(3, {
    retries: { attempts: 2, hedge_after: '50ms', budget_percent: 100 },
  });
  let turn = 0;
  the.everywhere('/fails', async (connection) => {
    if (++turn === 1) await waitFor(() => turn === 2);
    // The hedge fails first.
    if (turn === 2) await sleep(50);
    dies(connection);
  });
  expect((await the.ask('/fails')).status).toBe(502);
  expect(the.served('/fails')).toBe(2);
});

test('a hedge that took over was waited for twice as long', async () => {
  const the = await severalBackends(2, {
    timeouts: { response: '2s' },
    retries: { hedge_after: '50ms' },
  });
  let round = 0;
  const waitedMs = async (): Promise<number> => {
    const path = `/silent/${round++}`;
    the.everywhere(path, silent);
    expect((await the.ask(path)).status).toBe(504);
    return Number((await the.line(path))['duration_ms']);
  };
  expect(await leastOf(waitedMs, 3_700)).toBeLessThan(3_700);
});

test('a hedge won with a status that is tried again', async () => {
  const the = await severalBackends(2, { retries: { on_status: [429], hedge_after: '50ms' } });
  let turn = 0;
  the.everywhere('/limited', async (connection) => {
    if (++turn === 2) {
      await connection.write('HTTP/1.1 429 Slow\r\nContent-Length: 2\r\n\r\nno');
    } else {
      await waitFor(() => turn === 2);
      await sleep(50);
      await connection.write(OK);
    }
  });
  expect((await the.ask('/limited')).status).toBe(200);
  expect(turn).toBe(2);
});

test('a status that is tried again was the answer while the hedge was about to give a better one', async () => {
  const the = await severalBackends(2, { retries: { on_status: [503], hedge_after: '50ms' } });
  let turn = 0;
  the.everywhere('/slow', async (connection) => {
    if (++turn === 1) {
      await waitFor(() => turn === 2);
      await connection.write(BUSY);
    } else {
      await sleep(100);
      await connection.write(OK);
    }
  });
  expect((await the.ask('/slow')).status).toBe(200);
});

test('a hedge that failed took the fresh connection from a request that had lost the keep-alive race', async () => {
  const the = await severalBackends(2, { retries: { hedge_after: '50ms' } });
  let turn = 0;
  the.everywhere('/race', async (connection) => {
    turn++;
    if (turn <= 2) {
      // Both connections have carried a request by now.
      await connection.write(OK);
    } else if (turn === 3) {
      await waitFor(() => turn === 4);
      await sleep(50);
      dies(connection);
    } else if (turn === 4) {
      await connection.write(BUSY);
    } else {
      await connection.write(OK);
    }
  });
  for (let round = 0; round < 3; round++) expect((await the.ask('/race')).status).toBe(200);
  expect(turn).toBe(5);
});

test('interim responses gave one try more than its time', async () => {
  const the = await severalBackends(1, { retries: { per_try_timeout: '300ms' } });
  the.everywhere('/hints', async (connection) => {
    for (let round = 0; round < 80; round++) {
      await connection.write('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n');
      await sleep(100);
    }
  });
  const client = await rawClient(the.fairlead.port);
  await client.write(the.get('/hints'));
  const line = await the.line('/hints');
  expect(line['error']).toBe('ERR_BACKEND_TRY_TIMEOUT');
  expect(line['duration_ms']).toBeLessThan(6_000);
});

test('a client that waited for 100 was to blame for a backend that said nothing', async () => {
  const the = await severalBackends(1, { timeouts: { response: '200ms', idle: '300ms' } });
  the.everywhere('/put', silent);
  const client = await rawClient(the.fairlead.port);
  await client.write(the.get('/put', ['Content-Length: 4', 'Expect: 100-continue'], 'PUT'));
  expect((await client.readResponse()).status).toBe(504);
  expect(await the.line('/put')).toMatchObject({
    error: 'ERR_BACKEND_RESPONSE_TIMEOUT',
    error_detail: expect.stringMatching(
      /^neither 100 nor a response head within 300 ms \(the longer of timeouts/,
    ),
  });
});

test('a client that sent its body though no 100 had come was too late for the time of one try', async () => {
  const the = await severalBackends(1, {
    timeouts: { response: '100ms' },
    retries: { per_try_timeout: '90ms' },
  });
  the.everywhere('/post', async (connection) => {
    await connection.readBytes(4);
    await connection.write(OK);
  });
  const client = await rawClient(the.fairlead.port);
  await client.write(the.get('/post', ['Content-Length: 4', 'Expect: 100-continue'], 'POST'));
  await sleep(600);
  await client.write('body');
  expect((await client.readResponse()).status).toBe(200);
});

test('a client was blamed for waiting for 100 after a 103', async () => {
  const the = await severalBackends(1, { timeouts: { response: '5s', idle: '300ms' } });
  the.everywhere('/put', async (connection) => {
    await connection.write('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n');
    await sleep(700);
    await connection.write('HTTP/1.1 100 Continue\r\n\r\n');
    await connection.readBytes(4);
    await connection.write(OK);
  });
  const client = await rawClient(the.fairlead.port);
  await client.write(the.get('/put', ['Content-Length: 4', 'Expect: 100-continue'], 'PUT'));
  expect(await client.readUntil('\r\n\r\n')).toContain(' 103 ');
  expect(await client.readUntil('\r\n\r\n')).toContain(' 100 ');
  await client.write('body');
  expect((await client.readResponse()).status).toBe(200);
});

test('a hedge that lost the keep-alive race used up a try', async () => {
  const the = await severalBackends(3, {
    retries: { attempts: 2, on_status: [503], hedge_after: '50ms', budget_percent: 100 },
  });
  // All have an idle connection.
  for (let round = 0; round < 3; round++) await the.ask('/warm');
  let turn = 0;
  the.everywhere('/race', async (connection) => {
    if (++turn === 1) {
      await waitFor(() => turn === 2);
      await sleep(80);
      await connection.write(BUSY);
    } else if (turn === 2) {
      dies(connection);
    } else {
      await connection.write(OK);
    }
  });
  expect((await the.ask('/race')).status).toBe(200);
  expect(turn).toBe(3);
});

test('a backend that was being tried out was called full', async () => {
  const the = await severalBackends(2, {
    // Half of all requests fail: the breaker of the pool stays closed.
    circuit_breaker: {
      failure_percent: 80,
      min_requests: 5,
      interval: '10s',
      open: '1s',
      half_open_requests: 1,
    },
    panic_threshold_percent: 0,
  });
  the.backends[0]?.on('/bad', answer('HTTP/1.1 500 Bad\r\nContent-Length: 2\r\n\r\nno'));
  const hasLogged = (event: string): boolean =>
    the.fairlead.logs().some((line) => line.event === event);
  await waitFor(async () => {
    await the.ask('/bad');
    return hasLogged('breaker.opened');
  });
  await fetch(`${the.fairlead.adminUrl}/backends/${the.id(1)}/status`, {
    method: 'PUT',
    body: JSON.stringify({ alive: false }),
  });
  the.everywhere('/try', silent);
  const client = await rawClient(the.fairlead.port);
  await the.halfOpen(0);
  await client.write(the.get('/try'));
  await waitFor(() => the.served('/try') === 1);
  const response = await the.ask('/next');
  expect(response.status).toBe(503);
  expect(String(response.body)).toContain('ERR_CIRCUIT_OPEN');
});
