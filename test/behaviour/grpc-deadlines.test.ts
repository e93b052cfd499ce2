/** `grpc-timeout`: it bounds a call, and the backend is told what is left of it. */
import http2 from 'node:http2';
import { beforeAll, expect, test } from 'vitest';
import { readTimeout } from '../../src/data/wire/grpc.ts';
import { afterTest } from '../support/after-test.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { http2Backend } from '../support/http2-backend.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import { call, endOf, message } from './grpc-client.ts';
import { startProxy } from './stage.ts';

const DEADLINE_EXCEEDED = 4;
const { NGHTTP2_CANCEL } = http2.constants;

let fairlead: Fairlead;
let session: http2.ClientHttp2Session;
/** What backends were told, by path; null: nothing. */
const told = new Map<string, string | null>();
/** What calls were ended with at the backend, by path. */
const endings = new Map<string, number>();

beforeAll(async () => {
  const backend = await http2Backend((stream, fields) => {
    const path = String(fields[':path']);
    told.set(path, (fields['grpc-timeout'] as string | undefined) ?? null);
    stream.on('close', () => endings.set(path, stream.rstCode ?? 0));
    if (path.endsWith('/Begun')) {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.write(message('first'));
    } else if (path.endsWith('/Answered')) {
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' },
        { endStream: true },
      );
    }
  });
  await onFreePorts(1, async ([port = 0]) => {
    fairlead = await startProxy(
      [backend.url],
      {
        protocol: 'h2',
        listeners: [{ port, host: '127.0.0.1', h2c: true }],
        routes: [
          { path: '/test.Total/', timeouts: { total: '1s' }, pool: 'default' },
          {
            path: '/test.Said/',
            request_headers: { set: { 'Grpc-Timeout': '7S' } },
            pool: 'default',
          },
          {
            path: '/test.Added/',
            request_headers: { add: { 'Grpc-Timeout': '7S' } },
            timeouts: { total: '1m' },
            pool: 'default',
          },
        ],
      },
      { args: [] },
    );
    session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => {});
    afterTest(() => session.destroy());
    // From here on there is a connection to the backend.
    await unary('/test.Own/Answered');
  });
});

async function unary(path: string, timeout?: string) {
  const stream = call(session, path, timeout === undefined ? {} : { 'grpc-timeout': timeout });
  stream.end(message('hello'));
  return await endOf(stream);
}

function toldMs(path: string): number {
  return readTimeout(told.get(path) ?? '');
}

test('a call is over when its client would have given it up, at the backend as well', async () => {
  const { status, message: text, isTrailersOnly } = await unary('/test.Own/Silent', '1000m');
  expect([status, isTrailersOnly]).toEqual([DEADLINE_EXCEEDED, true]);
  expect(text).toContain('ERR_CALL_DEADLINE');
  expect(await waitFor(() => endings.get('/test.Own/Silent'))).toBe(NGHTTP2_CANCEL);
  expect(toldMs('/test.Own/Silent')).toBeGreaterThan(0);
  expect(toldMs('/test.Own/Silent')).toBeLessThanOrEqual(1_000);
  const line = await waitFor(
    () => fairlead.accessLines().find(({ path }) => path === '/test.Own/Silent'),
    LONG_MS,
  );
  expect(line).toMatchObject({ error: 'ERR_CALL_DEADLINE', error_source: 'client' });
});

test('an answer that has begun ends with the status', async () => {
  const { status, code, body } = await unary('/test.Own/Begun', '2000000u');
  expect([status, code]).toEqual([DEADLINE_EXCEEDED, 0]);
  expect(body.equals(message('first'))).toBe(true);
  expect(await waitFor(() => endings.get('/test.Own/Begun'))).toBe(NGHTTP2_CANCEL);
});

test.each(['1H', undefined])('the shorter one holds: timeouts.total beside %s', async (timeout) => {
  const { status, message: text } = await unary('/test.Total/Silent', timeout);
  expect(status).toBe(DEADLINE_EXCEEDED);
  expect(text).toContain('ERR_TOTAL_TIMEOUT');
  expect(toldMs('/test.Total/Silent')).toBeLessThanOrEqual(1_000);
});

test('a call without an end is told of none', async () => {
  expect((await unary('/test.Own/Answered')).status).toBe(0);
  expect(told.get('/test.Own/Answered')).toBeNull();
});

test.each(['soon', '1s', '123456789S'])('%j is the backend’s to refuse', async (timeout) => {
  expect((await unary('/test.Own/Answered', timeout)).status).toBe(0);
  expect(told.get('/test.Own/Answered')).toBe(timeout);
});

test('what a route has the field say is what it says', async () => {
  expect((await unary('/test.Said/Answered', '1M')).status).toBe(0);
  expect(told.get('/test.Said/Answered')).toBe('7S');
  // There was none.
  expect((await unary('/test.Added/Answered')).status).toBe(0);
  expect(told.get('/test.Added/Answered')).toBe('7S');
});
