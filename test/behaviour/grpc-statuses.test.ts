/** What Fairlead answers itself to calls of gRPC: a status of gRPC, in a head that is all of it, or in trailers. */
import { once } from 'node:events';
import http2 from 'node:http2';
import { beforeAll, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { http2Backend } from '../support/http2-backend.ts';
import { cheapHash } from '../support/password-hash.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import { call, type Ended, endOf, message } from './grpc-client.ts';
import { metrics, startProxy } from './stage.ts';

const HEAD = { ':status': 200, 'content-type': 'application/grpc' };
const END = { endStream: true };

const CANCELLED = 1;
const UNKNOWN = 2;
const DEADLINE_EXCEEDED = 4;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

const HASH = cheapHash('secret');

let fairlead: Fairlead;
let session: http2.ClientHttp2Session;

const METHODS: Record<string, (stream: http2.ServerHttp2Stream) => void> = {
  '/test.Good/Call': (stream) => {
    stream.respond(HEAD, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(message('yes'));
  },
  '/test.Good/Refused': (stream) => stream.respond({ ...HEAD, 'grpc-status': '5' }, END),
  '/test.Good/Mute': (stream) => {
    stream.respond(HEAD);
    stream.end(message('yes'));
  },
  '/test.Good/NoCall': (stream) => stream.respond({ ':status': 404 }, END),
  '/test.Slow/Silent': () => {},
  '/test.Begun/Broken': (stream) => {
    stream.respond(HEAD);
    stream.write(message('first'));
    stream.on('data', () => stream.session?.destroy());
  },
  '/test.Begun/GivenUp': (stream) => stream.respond(HEAD),
  '/test.Stops/Call': (stream) => {
    stream.respond(HEAD);
    stream.write(message('first'));
  },
  '/test.Begun/Short': (stream) => {
    stream.respond({ ...HEAD, 'content-length': '100' });
    stream.write(message('first'));
    stream.on('data', () => stream.session?.destroy());
  },
  '/test.Begun/Page': (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'text/html' });
    stream.write('<p>first');
    stream.on('data', () => stream.session?.destroy());
  },
  '/test.Reset/Early': (stream) => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR),
};

beforeAll(async () => {
  const backend = await http2Backend((stream, fields) => {
    METHODS[String(fields[':path'])]?.(stream);
  });
  await onFreePorts(1, async ([port = 0]) => {
    fairlead = await startProxy(
      [backend.url],
      {
        protocol: 'h2',
        listeners: [{ port, host: '127.0.0.1', h2c: true }],
        pools: { empty: { backends: [] } },
        routes: [
          { path: '/test.Denied/', deny: ['127.0.0.0/8'], pool: 'default' },
          { path: '/test.Login/', basic_auth: { users: { ann: HASH } }, pool: 'default' },
          { path: '/test.Large/', limits: { body: 10 }, pool: 'default' },
          { path: '/test.Limited/', rate_limit: { rate: 1, per: '1h' }, pool: 'default' },
          { path: '/test.Slow/', timeouts: { response: '100ms' }, pool: 'default' },
          { path: '/test.Stops/', timeouts: { idle: '200ms' }, pool: 'default' },
          { path: '/test.Empty/', pool: 'empty' },
          { path: '/test.Missing/', respond: { status: 404, body: 'no such thing' } },
          { path: '/test.Moved/', redirect: { to: 'https://example.com/' } },
          { path: '/test.Down/', maintenance: true },
        ],
      },
      { args: [] },
    );
    session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => {});
    afterTest(() => session.destroy());
  });
});

async function unary(path: string, text = 'hello'): Promise<Ended> {
  const stream = call(session, path);
  stream.end(message(text));
  return endOf(stream);
}

test.each([
  ['/test.Denied/Call', PERMISSION_DENIED, /ERR_ADDRESS_REFUSED/],
  ['/test.Login/Call', UNAUTHENTICATED, /ERR_LOGIN_NEEDED/],
  ['/test.Large/Call', RESOURCE_EXHAUSTED, /ERR_BODY_TOO_LARGE/],
  ['/test.Slow/Silent', DEADLINE_EXCEEDED, /ERR_BACKEND_RESPONSE_TIMEOUT/],
  ['/test.Empty/Call', UNAVAILABLE, /ERR_NO_BACKEND/],
  ['/test.Down/Call', UNAVAILABLE, /ERR_MAINTENANCE/],
  ['/test.Reset/Early', UNAVAILABLE, /ERR_BACKEND_RESET/],
  ['/test.Missing/Call', UNIMPLEMENTED, /^404 Not Found$/],
  ['/test.Moved/Call', UNKNOWN, /^30\d /],
])('%s is answered with status %i alone', async (path, status, text) => {
  const ended = await unary(path, 'more than ten bytes');
  expect([ended.fields[':status'], ended.status, ended.isTrailersOnly]).toEqual([
    200,
    status,
    true,
  ]);
  expect(ended.fields['content-type']).toBe('application/grpc');
  expect(ended.fields['x-request-id']).toBeDefined();
  expect(ended.message).toMatch(text);
  expect([ended.body.length, ended.code]).toEqual([0, 0]);
});

test('the call that is one too many', async () => {
  // The first goes to a backend that never answers, and is given up.
  const first = call(session, '/test.Limited/Call');
  first.end(message('hello'));
  const second = await unary('/test.Limited/Call');
  first.close(http2.constants.NGHTTP2_CANCEL);
  expect([second.status, second.isTrailersOnly]).toEqual([RESOURCE_EXHAUSTED, true]);
  expect(second.fields['retry-after']).toBeDefined();
});

test('an answer that has begun ends with a status in its trailers', async () => {
  const stream = call(session, '/test.Begun/Broken');
  stream.once('data', () => stream.write(message('go')));
  const { status, message: text, body, code, fields } = await endOf(stream);
  expect([fields[':status'], body.equals(message('first'))]).toEqual([200, true]);
  expect([status, code]).toEqual([UNAVAILABLE, 0]);
  expect(text).toContain('ERR_BACKEND_TRUNCATED');
});

test('one that stops ends as one whose time is over', async () => {
  const { status, message: text } = await unary('/test.Stops/Call');
  expect(status).toBe(DEADLINE_EXCEEDED);
  expect(text).toContain('ERR_BACKEND_BODY_TIMEOUT');
});

test.each([
  ['one whose length is said is reset: it would be malformed', '/test.Begun/Short'],
  ['so is a page: it would look whole', '/test.Begun/Page'],
])('%s', async (_what, path) => {
  const stream = call(session, path);
  stream.once('data', () => stream.write(message('go')));
  const { status, code } = await endOf(stream);
  expect(status).toBeUndefined();
  expect(code).not.toBe(0);
});

test('a malformed call is answered as one, and its stream has an error', async () => {
  const stream = call(session, '/test.Silent/Call', { 'content-length': '3' });
  // Not ended: node:http2 hears nothing of a stream that has ended on both sides.
  stream.write(message('hello'));
  const { status, code } = await endOf(stream);
  expect([status, code]).toEqual([INTERNAL, http2.constants.NGHTTP2_PROTOCOL_ERROR]);
});

test.each(['application/grpc-web+proto', 'application/json'])(
  '%s is answered as HTTP has it',
  async (contentType) => {
    const stream = call(session, '/test.Empty/Call', { 'content-type': contentType });
    stream.end('{}');
    const { fields, status } = await endOf(stream);
    expect([fields[':status'], fields['grpc-status'], status]).toEqual([503, undefined, undefined]);
  },
);

async function logged(path: string) {
  return await waitFor(
    () => fairlead.accessLines().find((line) => line['path'] === path),
    LONG_MS,
    `the line of ${path}`,
  );
}

test.each([
  ['/test.Good/Call', 0],
  ['/test.Good/Refused', NOT_FOUND],
  // As a client takes it that finds no status.
  ['/test.Good/Mute', UNKNOWN],
  ['/test.Good/NoCall', UNIMPLEMENTED],
])('%s is logged and counted with the status %i', async (path, status) => {
  await unary(path);
  expect((await logged(path))['grpc_status']).toBe(status);
  const label = `grpc_status="${status}"`;
  const counted = [...(await metrics(fairlead))].filter(
    ([name]) => name.startsWith('fairlead_grpc_calls_total') && name.includes(label),
  );
  expect(counted.length).toBeGreaterThan(0);
});

test('what we answer is logged with its status, and so is a call that is given up', async () => {
  await unary('/test.Denied/Logged');
  expect(await logged('/test.Denied/Logged')).toMatchObject({
    status: 200,
    grpc_status: PERMISSION_DENIED,
    error: 'ERR_ADDRESS_REFUSED',
  });
  const stream = call(session, '/test.Begun/GivenUp');
  await once(stream, 'response');
  stream.close(http2.constants.NGHTTP2_CANCEL);
  expect(await logged('/test.Begun/GivenUp')).toMatchObject({
    status: 200,
    grpc_status: CANCELLED,
    ended: 'client_gone',
  });
});

test('what is no call has no status of gRPC', async () => {
  const stream = call(session, '/test.Missing/Plain', { 'content-type': 'application/json' });
  stream.end('{}');
  expect((await endOf(stream)).fields[':status']).toBe(404);
  expect(await logged('/test.Missing/Plain')).not.toHaveProperty('grpc_status');
});
