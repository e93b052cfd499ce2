/** `/requests`: what became of a request that failed, by the id that its client and the log have. */
import { beforeAll, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { type Stage, silent, startStage } from './stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await startStage({
    limits: { body: '1KiB' },
    retries: false,
    request_timeout: '200ms',
    access_log_redact: { query: ['key'] },
    outlier_detection: false,
  });
});

async function failed(path: string, init: RequestInit = {}): Promise<Record<string, unknown>> {
  const response = await fetch(stage.fairlead.url + path, init);
  const id = response.headers.get('x-request-id');
  await response.text();
  return { status: response.status, ...(await kept(`/${id}`)) };
}

function kept(path = ''): Promise<Record<string, unknown>> {
  return waitFor(async () => {
    const response = await fetch(`${stage.fairlead.adminUrl}/requests${path}`);
    return response.ok ? ((await response.json()) as Record<string, unknown>) : undefined;
  });
}

test('of a backend that closes, it says what was sent, on which connection, and why it was not tried again', async () => {
  stage.on('/closes?key=secret', (connection) => connection.end());
  await (await fetch(`${stage.fairlead.url}/`)).text();
  const init = { method: 'POST', body: 'hello' };
  expect(await failed('/closes?key=secret', init)).toMatchObject({
    status: 502,
    error: 'ERR_BACKEND_CLOSED',
    error_source: 'backend',
    method: 'POST',
    path: '/closes?key=REDACTED',
    phase: 'wait',
    pool: 'default',
    backend: stage.backend.url,
    attempts: [
      {
        backend: stage.backend.url,
        protocol: 'HTTP/1.1',
        reused: true,
        chosen_by: 'strategy',
        status: null,
        outcome: 'ERR_BACKEND_CLOSED',
        connect_ms: null,
        connection_age_ms: expect.any(Number),
        request_sent: true,
        body_bytes_sent: 5,
      },
    ],
    no_retry: expect.stringContaining('retries.non_idempotent'),
    hint: expect.stringContaining('timeouts.backend_keep_alive'),
  });
  const told = await stage.fairlead.waitForLog(({ event }) => event === 'request.failed');
  expect(told).toMatchObject({
    msg: expect.stringContaining(
      `a request has failed at ${stage.backend.url} with ERR_BACKEND_CLOSED`,
    ),
    code: 'ERR_BACKEND_CLOSED',
    backend: stage.backend.url,
    sent: true,
    body_bytes: 5,
    no_retry: expect.stringContaining('retries.non_idempotent'),
    hint: expect.any(String),
    count: 1,
  });
  expect(await stage.logged('/closes?key=REDACTED')).toMatchObject({
    attempts: [
      {
        reused: true,
        sent: true,
        body_bytes: 5,
        connection_age_ms: expect.any(Number),
        no_retry: 'not idempotent',
      },
    ],
  });
});

test('of a backend that is too slow, it says how long was waited, and what would give it longer', async () => {
  stage.on('/slow', silent);
  const slow = await failed('/slow');
  expect(slow).toMatchObject({
    status: 504,
    error: 'ERR_BACKEND_RESPONSE_TIMEOUT',
    phase: 'wait',
    first_byte_ms: null,
    hint: expect.stringContaining('timeouts.response'),
  });
  expect(slow['duration_ms']).toBeGreaterThan(190);
});

test('of a request that Fairlead refuses, there is no attempt', async () => {
  const init = { method: 'POST', body: 'x'.repeat(2_000) };
  expect(await failed('/', init)).toMatchObject({
    status: 413,
    error: 'ERR_BODY_TOO_LARGE',
    error_source: 'client',
    phase: 'request',
    attempts: [],
    no_retry: null,
    hint: expect.stringContaining('limits.body'),
  });
});

test('the line of the access log says as much; that of a request that went well says nothing of it', async () => {
  stage.on('/ends-early', (connection) => connection.end());
  stage.on('/never', silent);
  stage.on('/half', async (connection) => {
    await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
    connection.end();
  });
  const large = { method: 'POST', body: 'x'.repeat(2_000) };
  for (const [path, init] of [['/ends-early'], ['/never'], ['/too-large', large]] as const) {
    const { phase, hint } = await failed(path, init);
    expect(hint).toMatch(/./);
    const line = await stage.logged(path);
    expect(line).toMatchObject({ phase, hint });
    // They stand behind all else.
    expect(Object.keys(line).slice(-2)).toEqual(['phase', 'hint']);
  }
  await expect((await fetch(`${stage.fairlead.url}/half`)).text()).rejects.toThrow('terminated');
  expect(await stage.logged('/half')).toMatchObject({
    error: 'ERR_BACKEND_TRUNCATED',
    phase: 'response',
    hint: expect.stringContaining('crash'),
  });
  // What the code says already is not said again.
  const client = await stage.client();
  await client.write('GET /two-hosts HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n');
  await client.readResponse();
  const refused = await stage.logged('/two-hosts');
  expect(refused).toMatchObject({ error: 'ERR_DUPLICATE_HOST', phase: 'request' });
  expect(refused).not.toHaveProperty('hint');

  await (await fetch(`${stage.fairlead.url}/well`)).text();
  const well = await stage.logged('/well');
  for (const field of ['phase', 'hint']) expect(well).not.toHaveProperty(field);
});

test('the list has them all, the newest first, and what went well too', async () => {
  await failed('/again', { method: 'POST', body: 'x'.repeat(2_000) });
  const list = (await kept()) as unknown as { path: string; phase: string; time: string }[];
  expect(list[0]).toMatchObject({ path: '/again', error: 'ERR_BODY_TOO_LARGE' });
  expect(list.map(({ phase }) => phase)).toContain('done');
  expect(list.map(({ time }) => time)).toEqual(
    list
      .map(({ time }) => time)
      .toSorted()
      .toReversed(),
  );
  const none = await fetch(`${stage.fairlead.adminUrl}/requests/unheard-of`);
  expect([none.status, await none.json()]).toMatchObject([404, { code: 'ERR_UNKNOWN_REQUEST' }]);
});
