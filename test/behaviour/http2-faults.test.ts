/** What operators see of clients of HTTP/2: which rule they broke, and which protocol it was. */
import { expect, test } from 'vitest';
import { block, frameClient, request } from '../support/frame-client.ts';
import {
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  PING,
  RST_STREAM,
  uint32,
} from '../support/http2-frames.ts';
import { waitFor } from '../support/wait-for.ts';
import { startHttp2 } from './http2-stage.ts';
import { silent } from './stage.ts';

const STREAM_CLOSED = 5;
const ENHANCE_YOUR_CALM = 11;

test('the log names the rule that a client broke, once a minute of each listener, and all are counted', async () => {
  const stage = await startHttp2({ limits: { http2_resets: 1 } });
  stage.on('/silent', silent);
  const { fairlead } = stage;
  const client = await frameClient(stage.h2c);
  client.get(1);
  expect(await client.answer(1)).toBe('200 ok');
  client.get(1);
  expect(await client.goneWith()).toBe(STREAM_CLOSED);
  const first = await fairlead.waitForLog(({ event }) => event === 'listener.client_fault');
  expect(first).toMatchObject({
    listener: `127.0.0.1:${stage.h2c}`,
    peer: '127.0.0.1',
    code: 'ERR_CLIENT_HTTP2',
    http2_error: 'STREAM_CLOSED',
    rule: 'HEADERS on stream 1, which is not open',
    count: 1,
  });
  const flood = await frameClient(stage.h2c);
  const head = block(request('/silent'));
  for (let id = 1; id < 100 && !flood.isEnded; id += 2) {
    flood.send(
      frame(HEADERS, END_HEADERS | END_STREAM, id, head),
      frame(RST_STREAM, 0, id, uint32(8)),
    );
    await flood.settled();
  }
  expect(await flood.goneWith()).toBe(ENHANCE_YOUR_CALM);
  // Another listener has a line of its own.
  const secure = await frameClient(stage.tls, { isTls: true });
  secure.send(frame(PING, 0, 1, 'abcdefgh'));
  await secure.goneWith();
  await waitFor(() => {
    const told = fairlead.logs().filter(({ event }) => event === 'listener.client_fault');
    return told.some(({ listener }) => listener === `127.0.0.1:${stage.tls}`);
  });
  await fairlead.stop();
  const told = fairlead.logs().filter(({ event }) => event === 'listener.client_fault');
  expect(told.map(({ listener, code, count }) => [listener, code, count]).toSorted()).toEqual(
    [
      [`127.0.0.1:${stage.h2c}`, 'ERR_CLIENT_FLOOD', 1],
      [`127.0.0.1:${stage.h2c}`, 'ERR_CLIENT_HTTP2', 1],
      [`127.0.0.1:${stage.tls}`, 'ERR_CLIENT_HTTP2', 1],
    ].toSorted(),
  );
  expect(told.find(({ code }) => code === 'ERR_CLIENT_FLOOD')).toMatchObject({
    http2_error: 'ENHANCE_YOUR_CALM',
    rule: 'too many resets (limits.http2_resets)',
  });
});

test('the status says what clients may speak, and what backends are spoken to in', async () => {
  const { fairlead } = await startHttp2();
  const status = await fetch(`${fairlead.adminUrl}/status`);
  expect(await status.json()).toMatchObject({
    client_protocols: ['HTTP/1.1', 'HTTP/2.0'],
    backend_protocol: 'http1',
  });
});
