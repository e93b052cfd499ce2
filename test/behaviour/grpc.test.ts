/** gRPC through the proxy, as it is on the wire: HTTP/2 on both sides, streams in both directions, a status in the trailers. */
import { once } from 'node:events';
import http2 from 'node:http2';
import { beforeAll, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { http2Backend } from '../support/http2-backend.ts';
import { LONG_MS, leastOf, waitFor, within } from '../support/wait-for.ts';
import { call as callOf, endOf, message } from './grpc-client.ts';
import { metrics, startProxy } from './stage.ts';

const { NGHTTP2_CANCEL } = http2.constants;
const END_STREAM = 1;
const UNAVAILABLE = 14;
const HEAD = { ':status': 200, 'content-type': 'application/grpc' };

let fairlead: Fairlead;
let session: http2.ClientHttp2Session;
const cancelled: number[] = [];
/** What calls were at the backend. */
const seen = new Set<string>();

const METHODS: Record<string, (stream: http2.ServerHttp2Stream) => void> = {
  '/test.Echo/Unary': (stream) => {
    stream.respond(HEAD, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.pipe(stream);
  },
  '/test.Echo/Refused': (stream) => {
    stream.respond(
      { ...HEAD, 'grpc-status': '5', 'grpc-message': 'not found' },
      { endStream: true },
    );
  },
  '/test.Echo/Many': (stream) => {
    stream.respond(HEAD, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    for (let index = 0; index < 1_000; index++) stream.write(message(`${index}`));
    stream.end();
  },
  '/test.Echo/Endless': (stream) => {
    stream.respond(HEAD);
    stream.write(message('first'));
    stream.on('close', () => cancelled.push(stream.rstCode));
  },
  '/test.Echo/Broken': (stream) => {
    stream.respond(HEAD);
    stream.write(message('first'));
    stream.on('data', () => stream.session?.destroy());
  },
};

beforeAll(async () => {
  const backend = await http2Backend((stream, fields) => {
    seen.add(`${fields.te} ${fields['content-type']}`);
    METHODS[String(fields[':path'])]?.(stream);
  });
  await onFreePorts(1, async ([port = 0]) => {
    fairlead = await startProxy(
      [backend.url],
      { protocol: 'h2', listeners: [{ port, host: '127.0.0.1', h2c: true }] },
      { args: [] },
    );
    session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => {});
    afterTest(() => session.destroy());
  });
});

function call(method: string): http2.ClientHttp2Stream {
  return callOf(session, `/test.Echo/${method}`);
}

test('a unary call, and one whose message is large', async () => {
  for (const text of ['hello', 'x'.repeat(4 * 1024 * 1024)]) {
    const stream = call('Unary');
    stream.end(message(text));
    const { body, status, code } = await endOf(stream);
    expect(body.equals(message(text))).toBe(true);
    expect([status, code]).toEqual([0, 0]);
    expect([...seen]).toEqual(['trailers application/grpc']);
  }
});

test('an answer of trailers alone stays one block', async () => {
  const stream = call('Refused');
  stream.end(message('hello'));
  const [fields, flags] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders, number];
  expect(fields).toMatchObject({ ':status': 200, 'grpc-status': '5', 'grpc-message': 'not found' });
  expect(flags & END_STREAM).toBe(END_STREAM);
});

test('a stream of messages from the backend, whole and in order', async () => {
  const stream = call('Many');
  stream.end(message('go'));
  const { body, status } = await endOf(stream);
  const all = Array.from({ length: 1_000 }, (_, index) => message(`${index}`));
  expect(body.equals(Buffer.concat(all))).toBe(true);
  expect(status).toBe(0);
});

test('messages in turns, each as soon as it has come', async () => {
  const stream = call('Unary');
  await once(stream, 'response');
  for (let round = 0; round < 50; round++) {
    stream.write(message(`${round}`));
    const [answer] = (await within(once(stream, 'data'), LONG_MS, 'an echo')) as [Buffer];
    expect(answer.equals(message(`${round}`))).toBe(true);
  }
  stream.end();
  expect((await endOf(stream)).status).toBe(0);
});

/** Until a call is answered that begins so. */
async function answeredMs(begin: (stream: http2.ClientHttp2Stream) => void): Promise<number> {
  const startedAt = performance.now();
  const stream = call('Unary');
  begin(stream);
  await once(stream, 'response');
  stream.end();
  return performance.now() - startedAt;
}

test('a call is at the backend before it has said anything', async () => {
  // In HTTP/1.1 its body would be waited for, for 100 ms; not where there is some of it at once.
  const spokenMs = await leastOf(() => answeredMs((stream) => stream.write(message('go'))), 0);
  const mostMs = spokenMs + 80;
  expect(await leastOf(() => answeredMs(() => {}), mostMs)).toBeLessThan(mostMs);
});

test('a call that its client gives up is given up at the backend', async () => {
  const stream = call('Endless');
  stream.write(message('go'));
  await once(stream, 'data');
  stream.close(NGHTTP2_CANCEL);
  await waitFor(() => cancelled.length > 0);
  expect(cancelled).toEqual([NGHTTP2_CANCEL]);
  await waitFor(async () => {
    const samples = [...(await metrics(fairlead))];
    const own = samples.find(([name]) => name.startsWith('fairlead_backend_requests_in_flight'));
    return own?.[1] === 0;
  });
});

test('a call that breaks off does not look like one that has ended well', async () => {
  const stream = call('Broken');
  await once(stream, 'data');
  stream.write(message('go'));
  expect((await endOf(stream)).status).toBe(UNAVAILABLE);
});
