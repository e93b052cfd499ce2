/**
 * A client with a window of 1,000 bytes got 1,063 of an answer and reset the stream: the access log said 131,126, and that it had
 * got all of it. What waited for its window was counted as sent, and the line written, once the backend had done its part.
 */
import { beforeAll, expect, test } from 'vitest';
import { type Http2Stage, startHttp2 } from '../behaviour/http2-stage.ts';
import { answer } from '../behaviour/stage.ts';
import { type FrameClient, frameClient, settings } from '../support/frame-client.ts';
import {
  DATA,
  END_STREAM,
  frame,
  HEADERS,
  PREFACE,
  RST_STREAM,
  uint32,
  WINDOW_UPDATE,
} from '../support/http2-frames.ts';
import { okResponse } from '../support/raw-backend.ts';
import { waitFor } from '../support/wait-for.ts';

const WINDOW = 1_000;
const BODY_BYTES = 60_000;
const CANCEL = 8;
const DEADLINE_EXCEEDED = 4;

let stage: Http2Stage;
beforeAll(async () => {
  stage = await startHttp2();
  const whole = okResponse('x'.repeat(BODY_BYTES));
  for (const path of ['/reset', '/taken', '/gone']) {
    stage.on(path, answer(whole));
  }
  stage.on('/call', async (connection) => {
    const size = BODY_BYTES.toString(16);
    await connection.write(
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\n${'x'.repeat(BODY_BYTES)}\r\n`,
    );
    await connection.closed;
  });
  stage.on('/part', async (connection) => {
    await connection.write(
      `HTTP/1.1 200 OK\r\nContent-Length: ${2 * BODY_BYTES}\r\n\r\n${'x'.repeat(BODY_BYTES)}`,
    );
  });
});

const smallWindow = (port = stage.h2c): Promise<FrameClient> =>
  frameClient(port, { said: [PREFACE, settings([4, WINDOW])] });

/** What has come on a stream, as the access log counts it: heads with their frames, bodies without. */
function received(client: FrameClient, streamId: number): number {
  const heads = client.of(HEADERS, streamId).map(({ payload }) => 9 + payload.length);
  const data = client.of(DATA, streamId).map(({ payload }) => payload.length);
  return [...heads, ...data].reduce((sum, bytes) => sum + bytes, 0);
}

async function firstWindow(client: FrameClient, path: string): Promise<void> {
  client.get(1, path);
  await waitFor(() => client.body(1).length === WINDOW);
  await client.settled();
}

test.each(['/reset', '/part'])('%s: reset by its client, it has got what it got', async (path) => {
  const client = await smallWindow();
  await firstWindow(client, path);
  client.send(frame(RST_STREAM, 0, 1, uint32(CANCEL)));
  expect(await stage.logged(path)).toMatchObject({
    status: 200,
    bytes_out: received(client, 1),
    ended: 'client_gone',
    error: 'ERR_CLIENT_GONE',
  });
});

test('so has a call of gRPC that its deadline has ended before, with words that waited as well', async () => {
  const client = await smallWindow();
  const call = [
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ['grpc-timeout', '500m'],
  ] as const;
  client.post(1, '/call', call);
  client.send(frame(DATA, END_STREAM, 1));
  await waitFor(() => client.body(1).length === WINDOW);
  // It is over at the backend.
  await (await stage.backend.request('/call')).closed;
  await client.settled();
  client.send(frame(RST_STREAM, 0, 1, uint32(CANCEL)));
  expect(await stage.logged('/call')).toMatchObject({
    bytes_out: received(client, 1),
    grpc_status: DEADLINE_EXCEEDED,
    error: 'ERR_CALL_DEADLINE',
  });
});

test('so has one whose connection is gone', async () => {
  const client = await smallWindow();
  await firstWindow(client, '/gone');
  client.socket.destroy();
  const bytes = received(client, 1);
  expect(await stage.logged('/gone')).toMatchObject({ bytes_out: bytes, ended: 'client_gone' });
});

test('one that takes no more in time has got what it got', async () => {
  const impatient = await startHttp2({ timeouts: { idle: '1s' } });
  impatient.on('/', answer(okResponse('x'.repeat(BODY_BYTES))));
  const client = await smallWindow(impatient.h2c);
  client.get(1);
  expect(await client.resetOf(1)).toBe(CANCEL);
  expect(await impatient.logged('/')).toMatchObject({
    bytes_out: received(client, 1),
    ended: 'client_timeout',
    error: 'ERR_CLIENT_TIMEOUT',
  });
});

test('one that takes the rest later has got all of it', async () => {
  const client = await smallWindow();
  await firstWindow(client, '/taken');
  client.send(frame(WINDOW_UPDATE, 0, 1, uint32(BODY_BYTES)));
  expect(await client.answer(1)).toBe(`200 ${'x'.repeat(BODY_BYTES)}`);
  const line = await stage.logged('/taken');
  expect(line['bytes_out']).toBe(received(client, 1));
  expect(line['ended']).toBeUndefined();
});
