/** `retries`: statuses, the time of one attempt, hedging, the total deadline, and what the log says of it all. */
import { expect, test } from 'vitest';
import type { LogLine } from '../support/fairlead.ts';
import { rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';
import { OK, severalBackends } from './several-backends.ts';
import { answer, type Connection, leftover, NOTHING, silent } from './stage.ts';

const BUSY = 'HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nRetry-After: 7\r\n\r\nbusy';

/** Several backends, and one client that keeps its connection. */
async function setUp(count: number, config: Readonly<Record<string, unknown>>) {
  const the = await severalBackends(count, config);
  const { fairlead } = the;
  const client = await rawClient(fairlead.port);
  return {
    ...the,
    client,
    async send(request: string) {
      await client.write(request);
      return client.readResponse();
    },
    /** Of requests with two attempts, once there is one. */
    linesOfSecondAttempts: () =>
      waitFor<LogLine[] | undefined>(() => {
        const lines = fairlead
          .accessLines()
          .filter((line) => (line['attempts'] as unknown[] | undefined)?.length === 2);
        return lines.length > 0 ? lines : undefined;
      }),
    async leftNothing(): Promise<void> {
      client.reset();
      expect(await leftover(fairlead)).toEqual(NOTHING);
    },
  };
}

/** The first request for a path gets one answer, all later ones another. */
function firstThen(first: string, later: string) {
  let requests = 0;
  return answerWith(() => (requests++ === 0 ? first : later));
}

function answerWith(next: () => string) {
  return async (connection: Connection): Promise<void> => {
    await connection.write(next());
  };
}

test('a listed status is tried at another backend, and the client sees only the good answer', async () => {
  const the = await setUp(2, { retries: { on_status: [503] } });
  the.everywhere('/flaky', firstThen(BUSY, OK));
  const script = firstThen(BUSY, OK);
  for (const backend of the.backends) backend.on('/flaky', script);
  const response = await the.send(the.get('/flaky'));
  expect([response.status, String(response.body)]).toEqual([200, 'ok']);
  expect(the.backends.map((backend) => backend.served('/flaky').length)).toEqual([1, 1]);
  expect(await the.line('/flaky')).toMatchObject({
    status: 200,
    attempts: [
      { outcome: 'ERR_BACKEND_STATUS', status: 503 },
      { outcome: 'ok', status: 200 },
    ],
  });
  await the.leftNothing();
});

test('when all backends answer with a listed status, the last answer is the client’s, whole', async () => {
  const the = await setUp(2, { retries: { on_status: [503] } });
  the.everywhere('/busy', answer(BUSY));
  const response = await the.send(the.get('/busy'));
  expect([response.status, String(response.body)]).toEqual([503, 'busy']);
  expect(response.fields.get('retry-after')).toEqual(['7']);
  expect(the.served('/busy')).toBe(2);
  await the.leftNothing();
});

test('a POST that was answered with a listed status is not sent again', async () => {
  const the = await setUp(2, { retries: { on_status: [503] } });
  the.everywhere('/post', async (connection) => {
    await connection.readBytes(4);
    await connection.write(BUSY);
  });
  const response = await the.send(`${the.get('/post', ['Content-Length: 4'], 'POST')}body`);
  expect(response.status).toBe(503);
  expect(the.served('/post')).toBe(1);
  await the.leftNothing();
});

test('non_idempotent: it is, with its body', async () => {
  const the = await setUp(2, { retries: { on_status: [503], non_idempotent: true } });
  const bodies: string[] = [];
  const next = firstThen(BUSY, OK);
  the.everywhere('/post', async (connection) => {
    bodies.push(String(await connection.readBytes(4)));
    await next(connection);
  });
  const response = await the.send(`${the.get('/post', ['Content-Length: 4'], 'POST')}body`);
  expect(response.status).toBe(200);
  expect(bodies).toEqual(['body', 'body']);
  await the.leftNothing();
});

test('a body over the replay buffer forfeits the retry, not the request', async () => {
  const the = await setUp(2, { retries: { on_status: [503], replay_buffer: '1KiB' } });
  the.everywhere('/put', async (connection) => {
    await connection.readBytes(2_000);
    await connection.write(BUSY);
  });
  const request = `${the.get('/put', ['Content-Length: 2000'], 'PUT')}${'x'.repeat(2_000)}`;
  expect((await the.send(request)).status).toBe(503);
  expect(the.served('/put')).toBe(1);
  await the.leftNothing();
});

test('per_try_timeout: a silent backend costs one attempt, not the request', async () => {
  const the = await setUp(2, { retries: { per_try_timeout: '200ms' } });
  the.backends[0]?.on('/slow', silent);
  for (let round = 0; round < 2; round++) {
    expect((await the.send(the.get('/slow'))).status).toBe(200);
  }
  const [slow] = await the.linesOfSecondAttempts();
  expect(slow).toMatchObject({
    attempts: [{ outcome: 'ERR_BACKEND_TRY_TIMEOUT' }, { outcome: 'ok' }],
  });
  await the.leftNothing();
});

test('per_try_timeout everywhere: 504 that says so', async () => {
  const the = await setUp(2, { retries: { per_try_timeout: '400ms' } });
  the.everywhere('/silent', silent);
  const response = await the.send(the.get('/silent'));
  expect(response.status).toBe(504);
  expect(String(response.body)).toContain('ERR_BACKEND_TRY_TIMEOUT');
  expect(the.served('/silent')).toBe(2);
  await the.leftNothing();
});

test('timeouts.total counts all attempts together', async () => {
  const the = await setUp(3, {
    timeouts: { total: '2500ms' },
    retries: { per_try_timeout: '1500ms' },
  });
  the.everywhere('/silent', silent);
  const response = await the.send(the.get('/silent'));
  expect(response.status).toBe(504);
  expect(String(response.body)).toContain('ERR_TOTAL_TIMEOUT');
  expect(the.served('/silent')).toBe(2);
  const line = await the.line('/silent');
  expect(line).toMatchObject({ error: 'ERR_TOTAL_TIMEOUT', error_source: 'proxy' });
  expect(line['duration_ms']).toBeGreaterThanOrEqual(2_500);
  await the.leftNothing();
});

test('timeouts.total in the middle of a body: the client is reset', async () => {
  const the = await setUp(1, { timeouts: { total: '2s' } });
  the.everywhere('/drip', async (connection) => {
    await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin');
    await connection.closed;
    connection.end();
  });
  await the.client.write(the.get('/drip'));
  await expect(the.client.readResponse()).rejects.toThrow('did not come before the end');
  expect(await the.line('/drip')).toMatchObject({ status: 200, error: 'ERR_TOTAL_TIMEOUT' });
  await the.leftNothing();
});

test('a hedge answers for a slow backend, and the slow attempt is called off', async () => {
  const the = await setUp(2, { retries: { hedge_after: '1s' } });
  the.backends[0]?.on('/read', silent);
  for (let round = 0; round < 2; round++) {
    const response = await the.send(the.get('/read'));
    expect([response.status, String(response.body)]).toEqual([200, 'ok']);
  }
  const hedged = await the.linesOfSecondAttempts();
  expect(hedged).toMatchObject([{ attempts: [{ outcome: 'called_off' }, { outcome: 'ok' }] }]);
  // The connection of the slow one is gone, not reused.
  await waitFor(() => the.backends[0]?.raw.connections.every(({ isEnded }) => isEnded));
  await the.leftNothing();
});

test('the first attempt wins over its hedge when it is quicker after all', async () => {
  const the = await setUp(2, { retries: { hedge_after: '50ms' } });
  let turn = 0;
  the.everywhere('/race', async (connection) => {
    if (turn++ > 0) return silent(connection);
    // Answers once the hedge has come.
    await waitFor(() => the.served('/race') === 2);
    return connection.write(OK);
  });
  expect((await the.send(the.get('/race'))).status).toBe(200);
  expect(await the.line('/race')).toMatchObject({
    attempts: [{ outcome: 'called_off' }, { outcome: 'ok' }],
  });
  await the.leftNothing();
});

test('a first attempt that fails leaves the answer to its hedge', async () => {
  const the = await setUp(2, { retries: { hedge_after: '50ms' } });
  let turn = 0;
  the.everywhere('/fails', async (connection) => {
    if (turn++ === 0) {
      await waitFor(() => the.served('/fails') === 2);
      connection.end();
      return;
    }
    await waitFor(() =>
      the.backends.some((backend) => backend.raw.connections.some((one) => one.isEnded)),
    );
    await connection.write(OK);
  });
  expect((await the.send(the.get('/fails'))).status).toBe(200);
  await the.leftNothing();
});

test('a POST is not hedged', async () => {
  const the = await setUp(2, { retries: { hedge_after: '50ms' }, timeouts: { response: '300ms' } });
  the.everywhere('/post', silent);
  expect((await the.send(the.get('/post', [], 'POST'))).status).toBe(504);
  expect(the.served('/post')).toBe(1);
  await the.leftNothing();
});

test('the budget: when everything fails, retries are few', async () => {
  const the = await setUp(3, { retries: { budget_percent: 10 }, outlier_detection: false });
  the.everywhere('/fails', (connection) => connection.end());
  for (let round = 0; round < 200; round++) {
    expect((await the.send(the.get('/fails'))).status).toBe(502);
  }
  // 200 requests, 10 %, and a reserve of 30.
  expect(the.served('/fails')).toBeLessThanOrEqual(200 + 20 + 30);
  expect(the.served('/fails')).toBeGreaterThan(200 + 20);
  expect(await the.metric('fairlead_retries_refused_total')).toBeGreaterThan(100);
  await the.leftNothing();
});
