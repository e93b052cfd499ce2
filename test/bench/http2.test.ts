/** The HTTP/2 that the bench speaks itself: its frames, its gRPC backend and its idle clients. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { freePort } from '../support/free-port.ts';
import { waitFor } from '../support/wait-for.ts';

// A plain module without declarations: named at run time, so that the compiler does not look for any.
const { FrameSplitter, frame, settings } = (await import(
  new URL('../../bench/http2-frames.mjs', import.meta.url).href
)) as {
  FrameSplitter: new () => { push(bytes: Buffer): { type: number; payload: Buffer }[] };
  frame: (type: number, flags: number, streamId: number, payload?: Buffer) => Buffer;
  settings: (pairs?: readonly (readonly [number, number])[]) => Buffer;
};

function start(program: string, ...words: string[]): ChildProcess {
  const path = fileURLToPath(new URL(`../../bench/${program}`, import.meta.url));
  const child = spawn(process.execPath, [path, ...words], { stdio: ['pipe', 'pipe', 'inherit'] });
  afterTest(() => void child.kill());
  return child;
}

test('frames are the same in whatever pieces they come', () => {
  const bytes = Buffer.concat([
    settings([[4, 65_535]]),
    frame(0, 1, 5, Buffer.from('hello')),
    frame(6, 0, 0, Buffer.alloc(8)),
  ]);
  const whole = new FrameSplitter().push(bytes);
  expect(whole.map(({ type }) => type)).toEqual([4, 0, 6]);
  expect(whole[1]).toMatchObject({ flags: 1, streamId: 5, payload: Buffer.from('hello') });
  for (let cut = 0; cut <= bytes.length; cut++) {
    const splitter = new FrameSplitter();
    const parts = [bytes.subarray(0, cut), bytes.subarray(cut)];
    expect(parts.flatMap((part) => splitter.push(part))).toEqual(whole);
  }
});

interface Call {
  readonly status: unknown;
  readonly type: unknown;
  readonly grpcStatus: unknown;
  readonly message: Buffer;
}

function call(session: http2.ClientHttp2Session, message: Buffer): Promise<Call> {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/bench.Echo/Say',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.end(message);
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
    let trailers: http2.IncomingHttpHeaders = {};
    stream.on('response', (fields) => {
      head = fields;
    });
    stream.on('trailers', (fields) => {
      trailers = fields;
    });
    stream.on('data', (bytes: Buffer) => parts.push(bytes));
    stream.on('error', reject);
    stream.on('end', () => {
      resolve({
        status: head[':status'],
        type: head['content-type'],
        grpcStatus: trailers['grpc-status'],
        message: Buffer.concat(parts),
      });
    });
  });
}

test('the gRPC backend sends every message back, on any connection, the first one and later ones', async () => {
  const port = await freePort();
  start('backend/grpc.mjs', String(port));
  const connect = async (): Promise<http2.ClientHttp2Session> => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    afterTest(() => session.destroy());
    await once(session, 'connect');
    return session;
  };
  // Until it listens.
  const first = await waitFor(() => connect().catch(() => null));
  for (const session of [first, await connect()]) {
    const messages = Array.from({ length: 40 }, (_, index) => Buffer.alloc(5_000, index));
    const answers = await Promise.all(messages.map((message) => call(session, message)));
    expect(answers).toEqual(
      messages.map((message) => ({
        status: 200,
        type: 'application/grpc',
        grpcStatus: '0',
        message,
      })),
    );
  }
});

test('idle clients have had an answer in HTTP/2, and are there until they are told to go', async () => {
  const server = http2.createServer((_request, response) => response.end('ok'));
  afterTest(() => void server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  let open = 0;
  server.on('session', (session) => {
    open++;
    session.on('close', () => open--);
  });
  const { port } = server.address() as AddressInfo;
  const clients = start('clients/idle.mjs', String(port), '30', 'h2c');
  let said = '';
  clients.stdout?.on('data', (text: Buffer) => {
    said += text.toString();
  });
  await waitFor(() => said === '{}\n');
  expect(open).toBe(30);
  clients.stdin?.end();
  await waitFor(() => said === '{}\n{"open":30}\n');
  await waitFor(() => open === 0);
});
