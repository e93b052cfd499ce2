/** Calls of gRPC that are tried again, and what they say of their backend. */
import http2 from 'node:http2';
import { beforeAll, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { type Http2Backend, http2Backend } from '../support/http2-backend.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import { call, type Ended, endOf, message } from './grpc-client.ts';
import { startProxy } from './stage.ts';

const HEAD = { ':status': 200, 'content-type': 'application/grpc' };
const UNKNOWN = 2;
const DEADLINE_EXCEEDED = 4;
const NOT_FOUND = 5;
const RESOURCE_EXHAUSTED = 8;
const UNAVAILABLE = 14;

/** How often each path was asked for, at both backends together. */
const calls = new Map<string, number>();

/** The path says what the first call is answered; the second is answered well. */
const FIRST: Record<string, (stream: http2.ServerHttp2Stream) => void> = {
  Unavailable: (stream) => trailersOnly(stream, UNAVAILABLE),
  Exhausted: (stream) => trailersOnly(stream, RESOURCE_EXHAUSTED),
  Later: (stream) => {
    stream.respond(HEAD, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': `${UNAVAILABLE}` }));
    stream.end();
  },
};

function trailersOnly(stream: http2.ServerHttp2Stream, status: number): void {
  stream.respond({ ...HEAD, 'grpc-status': `${status}` }, { endStream: true });
}

function answered(stream: http2.ServerHttp2Stream, fields: http2.IncomingHttpHeaders): void {
  const path = String(fields[':path']);
  const count = (calls.get(path) ?? 0) + 1;
  calls.set(path, count);
  const first = FIRST[path.split('/').at(-1) ?? ''];
  const answer = (): void => {
    if (count === 1 && first !== undefined) first(stream);
    else trailersOnly(stream, 0);
  };
  // A call whose client goes on sending is answered all the same.
  if (path.startsWith('/test.Open/')) {
    answer();
  } else {
    stream.resume();
    stream.on('end', answer);
  }
}

let fairlead: Fairlead;
let session: http2.ClientHttp2Session;

beforeAll(async () => {
  const backends = [await http2Backend(answered), await http2Backend(answered)];
  await onFreePorts(1, async ([port = 0]) => {
    fairlead = await startProxy(
      backends.map(({ url }) => url),
      {
        protocol: 'h2',
        outlier_detection: false,
        retries: { on_grpc_status: ['UNAVAILABLE'], replay_buffer: '1KiB', budget_percent: 100 },
        listeners: [{ port, host: '127.0.0.1', h2c: true }],
        routes: [{ path: '/test.Never/', retries: { on_grpc_status: [] }, pool: 'default' }],
      },
      { args: [] },
    );
    session = sessionTo(port);
  });
});

function sessionTo(port: number): http2.ClientHttp2Session {
  const opened = http2.connect(`http://127.0.0.1:${port}`);
  opened.on('error', () => {});
  afterTest(() => opened.destroy());
  return opened;
}

async function unary(path: string, text = 'hello'): Promise<Ended> {
  const stream = call(session, path);
  stream.end(message(text));
  return await endOf(stream);
}

test('a listed status is tried again elsewhere', async () => {
  const { status } = await unary('/test.Retried/Unavailable');
  expect([status, calls.get('/test.Retried/Unavailable')]).toEqual([0, 2]);
  const line = await waitFor(
    () => fairlead.accessLines().find(({ path }) => path === '/test.Retried/Unavailable'),
    LONG_MS,
  );
  expect(line['grpc_status']).toBe(0);
  expect((line['attempts'] as { outcome: string }[]).map(({ outcome }) => outcome)).toEqual([
    'ERR_BACKEND_GRPC_STATUS',
    'ok',
  ]);
});

test.each([
  ['a status that is not listed', '/test.Retried/Exhausted', RESOURCE_EXHAUSTED],
  ['one in trailers, behind a head that the client has', '/test.Retried/Later', UNAVAILABLE],
  ['one on a route that lists none', '/test.Never/Unavailable', UNAVAILABLE],
])('%s is the client’s', async (_what, path, status) => {
  const ended = await unary(path);
  expect([ended.status, calls.get(path)]).toEqual([status, 1]);
});

test('a call whose messages are not at hand any more is not tried again', async () => {
  const ended = await unary('/test.Large/Unavailable', 'x'.repeat(4_096));
  expect([ended.status, calls.get('/test.Large/Unavailable')]).toEqual([UNAVAILABLE, 1]);
});

test('nor is one whose client still sends', async () => {
  const ended = await endOf(call(session, '/test.Open/Unavailable'));
  expect([ended.status, calls.get('/test.Open/Unavailable')]).toEqual([UNAVAILABLE, 1]);
});

/** Ends each call with the status that its path names. */
async function withStatus(isInTrailers: boolean): Promise<Http2Backend> {
  return await http2Backend((stream, fields) => {
    const status = String(fields[':path']).split('/').at(-1) ?? '';
    if (isInTrailers) {
      stream.respond(HEAD, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }));
      stream.end(message('some'));
    } else {
      stream.respond({ ...HEAD, 'grpc-status': status }, { endStream: true });
    }
  });
}

test.each([true, false])(
  'what ends with a fault ejects its backend: in trailers %s',
  async (is) => {
    const backends = [await withStatus(is), await withStatus(is)];
    await onFreePorts(1, async ([port = 0]) => {
      const other = await startProxy(
        backends.map(({ url }) => url),
        {
          protocol: 'h2',
          retries: false,
          outlier_detection: {
            consecutive_5xx: 3,
            failure_percent: false,
            base_ejection: '1h',
            max_ejection: '1h',
          },
          listeners: [{ port, host: '127.0.0.1', h2c: true }],
        },
        { args: [] },
      );
      const to = sessionTo(port);
      const ask = async (status: number): Promise<void> => {
        const stream = call(to, `/test.Status/${status}`);
        stream.end(message('hello'));
        await endOf(stream);
      };
      // What is about the request, or about its client's patience, says nothing.
      for (const status of [NOT_FOUND, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED]) {
        for (let count = 0; count < 8; count++) await ask(status);
      }
      for (let count = 0; count < 5; count++) {
        await ask(UNKNOWN);
        await ask(UNAVAILABLE);
      }
      // The first that was ejected.
      const line = await other.waitForLog(({ event }) => event === 'backend.ejected');
      expect(String(line.msg)).toMatch(/grpc-status (2|14)/);
    });
  },
);
