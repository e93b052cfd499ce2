/** `queue`, `max_requests`: what waits when every backend is full, and what becomes of it. */
import { expect, test } from 'vitest';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Connection, get, metrics, NOTHING, type Stage, startStage } from './stage.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** A script whose requests are answered one by one, when the test says so. */
function held() {
  const waiting: (() => void)[] = [];
  return {
    script: async (connection: Connection): Promise<void> => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      await connection.write(OK);
    },
    async release(): Promise<void> {
      await waitFor(() => waiting.length > 0);
      waiting.shift()?.();
    },
  };
}

async function queued(stage: Stage): Promise<number> {
  return (await metrics(stage.fairlead)).get('fairlead_queue_depth{pool="default"}') ?? -1;
}

/** A client that has sent its request. */
async function asking(stage: Stage, path: string): Promise<RawClient> {
  const client = await rawClient(stage.fairlead.port);
  await client.write(get(path));
  return client;
}

test('requests over max_requests wait, and go in the order in which they came', async () => {
  const stage = await startStage({ max_requests: 1, queue: { size: 10, timeout: '10s' } });
  const hold = held();
  for (const path of ['/1', '/2', '/3']) stage.on(path, hold.script);
  const first = await asking(stage, '/1');
  await stage.backend.request('/1');
  const second = await asking(stage, '/2');
  await waitFor(async () => (await queued(stage)) === 1);
  const third = await asking(stage, '/3');
  await waitFor(async () => (await queued(stage)) === 2);
  expect(stage.backend.served('/2')).toHaveLength(0);

  await hold.release();
  expect((await first.readResponse()).status).toBe(200);
  await stage.backend.request('/2');
  expect(stage.backend.served('/3')).toHaveLength(0);
  await hold.release();
  expect((await second.readResponse()).status).toBe(200);
  await hold.release();
  expect((await third.readResponse()).status).toBe(200);

  expect((await stage.logged('/3'))['queue_ms']).toBeGreaterThan(0);
  expect(await stage.logged('/1')).not.toHaveProperty('queue_ms');
  const page = await metrics(stage.fairlead);
  expect(page.get('fairlead_queue_wait_seconds_count{pool="default"}')).toBe(2);
  expect(page.get('fairlead_queue_wait_seconds_sum{pool="default"}')).toBeGreaterThan(0);
  for (const client of [first, second, third]) client.reset();
  expect(await stage.leftover()).toEqual(NOTHING);
});

test('so do requests over max_connections', async () => {
  const stage = await startStage({ max_connections: 1, queue: { size: 10, timeout: '10s' } });
  const hold = held();
  stage.on('/1', hold.script);
  const first = await asking(stage, '/1');
  await stage.backend.request('/1');
  const second = await asking(stage, '/2');
  await waitFor(async () => (await queued(stage)) === 1);
  await hold.release();
  expect((await first.readResponse()).status).toBe(200);
  expect((await second.readResponse()).status).toBe(200);
  for (const client of [first, second]) client.reset();
  expect(await stage.leftover()).toEqual(NOTHING);
});

test('a full queue: 503 at once, with Retry-After', async () => {
  const stage = await startStage({ max_requests: 1, queue: { size: 1, timeout: '10s' } });
  const hold = held();
  stage.on('/1', hold.script);
  const first = await asking(stage, '/1');
  await stage.backend.request('/1');
  const second = await asking(stage, '/2');
  await waitFor(async () => (await queued(stage)) === 1);
  const third = await asking(stage, '/3');
  const refused = await third.readResponse();
  expect(refused.status).toBe(503);
  expect(refused.fields.get('retry-after')).toEqual(['1']);
  expect(String(refused.body)).toContain('ERR_QUEUE_FULL');
  await hold.release();
  expect((await second.readResponse()).status).toBe(200);
  for (const client of [first, second, third]) client.reset();
  expect(await stage.leftover()).toEqual(NOTHING);
});

test('the deadline of the queue: 503 that says so, and the place is free again', async () => {
  const stage = await startStage({ max_requests: 1, queue: { size: 1, timeout: '200ms' } });
  const hold = held();
  stage.on('/1', hold.script);
  const first = await asking(stage, '/1');
  await stage.backend.request('/1');
  const second = await asking(stage, '/2');
  const refused = await second.readResponse();
  expect(refused.status).toBe(503);
  expect(String(refused.body)).toContain('ERR_QUEUE_TIMEOUT');
  expect(await queued(stage)).toBe(0);
  const line = await stage.logged('/2');
  expect(line).toMatchObject({
    error: 'ERR_QUEUE_TIMEOUT',
    phase: 'queue',
    hint: expect.stringContaining('queue.timeout'),
  });
  expect(line).not.toHaveProperty('attempts');
  expect(line).not.toHaveProperty('backend');
  expect(line['queue_ms']).toBeGreaterThanOrEqual(200);
  await hold.release();
  expect((await first.readResponse()).status).toBe(200);
  for (const client of [first, second]) client.reset();
  expect(await stage.leftover()).toEqual(NOTHING);
});

test('a client that goes away leaves the queue, and its request never reaches a backend', async () => {
  const stage = await startStage({ max_requests: 1, queue: { size: 1, timeout: '10s' } });
  const hold = held();
  stage.on('/1', hold.script);
  const first = await asking(stage, '/1');
  await stage.backend.request('/1');
  const gone = await asking(stage, '/gone');
  await waitFor(async () => (await queued(stage)) === 1);
  gone.reset();
  await waitFor(async () => (await queued(stage)) === 0);
  expect(await stage.logged('/gone')).toMatchObject({ status: 499, error: 'ERR_CLIENT_GONE' });
  const third = await asking(stage, '/3');
  await waitFor(async () => (await queued(stage)) === 1);
  await hold.release();
  expect((await first.readResponse()).status).toBe(200);
  expect((await third.readResponse()).status).toBe(200);
  expect(stage.backend.served('/gone')).toHaveLength(0);
  for (const client of [first, third]) client.reset();
  expect(await stage.leftover()).toEqual(NOTHING);
});

test('an upload that waits is held, up to a bound, and arrives whole', async () => {
  const stage = await startStage({ max_requests: 1, queue: { size: 1, timeout: '10s' } });
  const hold = held();
  stage.on('/1', hold.script);
  const length = 300_000;
  stage.on('/upload', async (connection) => {
    const body = await connection.readBytes(length);
    await connection.write(body.every((byte) => byte === 0x78) ? OK : 'HTTP/1.1 500 No\r\n\r\n');
  });
  const first = await asking(stage, '/1');
  await stage.backend.request('/1');
  const upload = await rawClient(stage.fairlead.port);
  const sent = upload.write(
    `${get('/upload', [`Content-Length: ${length}`], 'POST')}${'x'.repeat(length)}`,
  );
  await waitFor(async () => (await queued(stage)) === 1);
  await hold.release();
  await sent;
  expect((await upload.readResponse()).status).toBe(200);
  expect((await first.readResponse()).status).toBe(200);
  for (const client of [first, upload]) client.reset();
  expect(await stage.leftover()).toEqual(NOTHING);
});
