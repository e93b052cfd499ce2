/** What RFC 9113 says that a client must not do, frame by frame, and what becomes of one that does. */
import { beforeAll, describe, expect, test } from 'vitest';
import { block, type Fields, frameClient, request, settings } from '../support/frame-client.ts';
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  GOAWAY,
  HEADERS,
  PING,
  PREFACE,
  PRIORITY,
  RST_STREAM,
  SETTINGS,
  uint32,
  WINDOW_UPDATE,
} from '../support/http2-frames.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import { type Http2Stage, startHttp2 } from './http2-stage.ts';
import { metrics, NOTHING, silent } from './stage.ts';

const NO_ERROR = 0;
const PROTOCOL_ERROR = 1;
const FLOW_CONTROL_ERROR = 3;
const STREAM_CLOSED = 5;
const FRAME_SIZE_ERROR = 6;
const REFUSED_STREAM = 7;
const COMPRESSION_ERROR = 9;

let stage: Http2Stage;
beforeAll(async () => {
  stage = await startHttp2();
  stage.on('/silent', silent);
});

const WHOLE = END_HEADERS | END_STREAM;
const GET = frame(HEADERS, WHOLE, 1, block(request('/silent')));
const POST = frame(HEADERS, END_HEADERS, 1, block(request('/silent', [], 'POST')));
const MAX_WINDOW = 0x7fffffff;

describe('an error of the connection ends it with a GOAWAY that says which', () => {
  test.each<[string, readonly (Uint8Array | string)[], number]>([
    ['DATA on an idle stream', [frame(DATA, 0, 1, 'a')], PROTOCOL_ERROR],
    ['DATA on stream 0', [frame(DATA, 0, 0, 'a')], PROTOCOL_ERROR],
    ['HEADERS on stream 0', [frame(HEADERS, WHOLE, 0, block(request()))], PROTOCOL_ERROR],
    ['HEADERS on an even stream', [frame(HEADERS, WHOLE, 2, block(request()))], PROTOCOL_ERROR],
    [
      'HEADERS on a stream below the last',
      [
        frame(HEADERS, WHOLE, 5, block(request('/silent'))),
        frame(HEADERS, WHOLE, 3, block(request())),
      ],
      PROTOCOL_ERROR,
    ],
    ['RST_STREAM on an idle stream', [frame(RST_STREAM, 0, 1, uint32(8))], PROTOCOL_ERROR],
    ['RST_STREAM of another length', [GET, frame(RST_STREAM, 0, 1, 'abc')], FRAME_SIZE_ERROR],
    ['WINDOW_UPDATE on an idle stream', [frame(WINDOW_UPDATE, 0, 1, uint32(1))], PROTOCOL_ERROR],
    ['WINDOW_UPDATE of nothing', [frame(WINDOW_UPDATE, 0, 0, uint32(0))], PROTOCOL_ERROR],
    [
      'a window above 2^31 − 1',
      [frame(WINDOW_UPDATE, 0, 0, uint32(MAX_WINDOW))],
      FLOW_CONTROL_ERROR,
    ],
    [
      'an initial window that makes another one larger than that',
      [GET, frame(WINDOW_UPDATE, 0, 1, uint32(1000)), settings([4, MAX_WINDOW])],
      FLOW_CONTROL_ERROR,
    ],
    ['an initial window above 2^31 − 1', [settings([4, 0x80000000])], FLOW_CONTROL_ERROR],
    ['frames of 1 byte', [settings([5, 1])], PROTOCOL_ERROR],
    ['ENABLE_PUSH of 2', [settings([2, 2])], PROTOCOL_ERROR],
    ['SETTINGS of 5 bytes', [frame(SETTINGS, 0, 0, 'abcde')], FRAME_SIZE_ERROR],
    ['SETTINGS on a stream', [frame(SETTINGS, 0, 1)], PROTOCOL_ERROR],
    ['an ACK with settings', [frame(SETTINGS, ACK, 0, 'abcdef')], FRAME_SIZE_ERROR],
    ['PING of 6 bytes', [frame(PING, 0, 0, 'abcdef')], FRAME_SIZE_ERROR],
    ['PING on a stream', [frame(PING, 0, 1, 'abcdefgh')], PROTOCOL_ERROR],
    ['GOAWAY on a stream', [frame(GOAWAY, 0, 1, Buffer.alloc(8))], PROTOCOL_ERROR],
    ['PUSH_PROMISE', [GET, frame(5, END_HEADERS, 1, Buffer.alloc(4))], PROTOCOL_ERROR],
    ['CONTINUATION of nothing', [frame(CONTINUATION, END_HEADERS, 1, 'a')], PROTOCOL_ERROR],
    [
      'a frame between HEADERS and CONTINUATION',
      [frame(HEADERS, END_STREAM, 1, block(request())), frame(PING, 0, 0, 'abcdefgh')],
      PROTOCOL_ERROR,
    ],
    [
      'CONTINUATION on another stream',
      [frame(HEADERS, END_STREAM, 1, block(request())), frame(CONTINUATION, END_HEADERS, 3, 'a')],
      PROTOCOL_ERROR,
    ],
    ['a frame above 16 KiB', [frame(DATA, 0, 1, Buffer.alloc(16_385))], FRAME_SIZE_ERROR],
    [
      'an index of no field',
      [frame(HEADERS, WHOLE, 1, Buffer.from([0xff, 0x7f]))],
      COMPRESSION_ERROR,
    ],
    [
      'a padding longer than its frame',
      [POST, frame(DATA, 8, 1, Buffer.from([9, 1, 2]))],
      PROTOCOL_ERROR,
    ],
  ])('%s', async (_, frames, code) => {
    const client = await frameClient(stage.h2c);
    client.send(...frames);
    expect(await client.goneWith()).toBe(code);
  });

  test('what begins like a preface and is none', async () => {
    const client = await frameClient(stage.tls, {
      isTls: true,
      said: ['PRI * HTTP/2.0\r\n\r\nSM\r\n\rX', settings()],
    });
    expect(await client.goneWith()).toBe(PROTOCOL_ERROR);
  });

  test('a preface without SETTINGS behind it', async () => {
    const client = await frameClient(stage.h2c, { said: [PREFACE, GET] });
    expect(await client.goneWith()).toBe(PROTOCOL_ERROR);
  });

  test('HEADERS on a stream that both sides have ended', async () => {
    const client = await frameClient(stage.h2c);
    client.get(1);
    expect(await client.answer(1)).toBe('200 ok');
    client.get(1);
    expect(await client.goneWith()).toBe(STREAM_CLOSED);
  });

  test('DATA on one', async () => {
    const client = await frameClient(stage.h2c);
    client.get(1);
    expect(await client.answer(1)).toBe('200 ok');
    client.send(frame(DATA, 0, 1, 'late'));
    expect(await client.goneWith()).toBe(STREAM_CLOSED);
  });
});

describe('an error of a stream resets it, and the connection stays', () => {
  test.each<[string, readonly Uint8Array[], number]>([
    ['DATA behind its end', [GET, frame(DATA, 0, 1, 'a')], STREAM_CLOSED],
    ['HEADERS behind its end', [GET, GET], STREAM_CLOSED],
    [
      'trailers that do not end it',
      [POST, frame(HEADERS, END_HEADERS, 1, block([['a', 'b']]))],
      PROTOCOL_ERROR,
    ],
    [
      'trailers with a pseudo-header',
      [POST, frame(HEADERS, WHOLE, 1, block([[':path', '/']]))],
      PROTOCOL_ERROR,
    ],
    ['WINDOW_UPDATE of nothing', [GET, frame(WINDOW_UPDATE, 0, 1, uint32(0))], PROTOCOL_ERROR],
    [
      'a window above 2^31 − 1',
      [GET, frame(WINDOW_UPDATE, 0, 1, uint32(MAX_WINDOW))],
      FLOW_CONTROL_ERROR,
    ],
    [
      'less DATA than Content-Length',
      [
        frame(
          HEADERS,
          END_HEADERS,
          1,
          block(request('/silent', [['content-length', '3']], 'POST')),
        ),
        frame(DATA, END_STREAM, 1, 'ab'),
      ],
      PROTOCOL_ERROR,
    ],
    [
      'more than that',
      [
        frame(
          HEADERS,
          END_HEADERS,
          1,
          block(request('/silent', [['content-length', '3']], 'POST')),
        ),
        frame(DATA, 0, 1, 'abcd'),
      ],
      PROTOCOL_ERROR,
    ],
    [
      'a length, and nothing that follows',
      [frame(HEADERS, WHOLE, 1, block(request('/', [['content-length', '3']], 'POST')))],
      PROTOCOL_ERROR,
    ],
  ])('%s', async (_, frames, code) => {
    const client = await frameClient(stage.h2c);
    client.send(...frames);
    expect(await client.resetOf(1)).toBe(code);
    client.get(3, '/after');
    expect(await client.answer(3)).toBe('200 ok');
  });
});

test('more DATA than a stream may have, and what comes of that', async () => {
  const client = await frameClient(stage.h2c);
  // What comes before there is a tunnel waits, so nothing of it is given back.
  const handshake: Fields = [[':protocol', 'websocket'], ...request('/silent', [], 'CONNECT')];
  const kilobytes = frame(DATA, 0, 1, Buffer.alloc(16_384));
  client.send(frame(HEADERS, END_HEADERS, 1, block(handshake)));
  client.send(...Array.from({ length: 17 }, () => kilobytes));
  expect(await client.resetOf(1)).toBe(FLOW_CONTROL_ERROR);
  // What comes for a stream that is gone is given back to the connection.
  client.send(...Array.from({ length: 200 }, () => kilobytes));
  client.get(3, '/after');
  expect(await client.answer(3)).toBe('200 ok');
});

describe('a malformed request is answered 400 and reset, and no backend sees it', () => {
  const ok = request('/malformed');
  const without = (name: string): Fields => ok.filter(([one]) => one !== name);
  test.each<[string, Fields]>([
    ['no :method', without(':method')],
    ['no :scheme', without(':scheme')],
    ['no :path', without(':path')],
    ['an empty :path', [...without(':path'), [':path', '']]],
    ['a path with a space', [...without(':path'), [':path', '/malformed HTTP/1.1']]],
    [':method twice', [...ok, [':method', 'GET']]],
    ['an unknown pseudo-header', [[':strange', 'a'], ...ok]],
    [':status', [[':status', '200'], ...ok]],
    ['a pseudo-header behind a field', [...without(':path'), ['a', 'b'], [':path', '/malformed']]],
    ['a name in upper case', [...ok, ['Accept', 'a']]],
    ['a name that is no token', [...ok, ['a b', 'a']]],
    ['a line end in a value', [...ok, ['a', 'b\r\nhost: evil']]],
    ['a NUL in a value', [...ok, ['a', 'b\0']]],
    ['a space before a value', [...ok, ['a', ' b']]],
    ['connection', [...ok, ['connection', 'close']]],
    ['keep-alive', [...ok, ['keep-alive', '5']]],
    ['proxy-connection', [...ok, ['proxy-connection', 'close']]],
    ['transfer-encoding', [...ok, ['transfer-encoding', 'chunked']]],
    ['upgrade', [...ok, ['upgrade', 'h2c']]],
    ['te with more than trailers', [...ok, ['te', 'gzip']]],
    ['another host', [...ok, ['host', 'evil']]],
    ['two lengths', [...ok, ['content-length', '1'], ['content-length', '2']]],
    ['a length that is none', [...ok, ['content-length', '0x1']]],
  ])('%s', async (_, fields) => {
    const client = await frameClient(stage.h2c);
    client.send(frame(HEADERS, END_HEADERS, 1, block(fields)));
    expect(await client.resetOf(1)).toBeOneOf([PROTOCOL_ERROR, NO_ERROR]);
    expect(client.heads(1)[0]?.get(':status')).toBe('400');
    client.get(3, '/after');
    expect(await client.answer(3)).toBe('200 ok');
    expect(stage.backend.served('/malformed')).toEqual([]);
  });
});

test('frames in single bytes are the same frames', async () => {
  const client = await frameClient(stage.h2c, { said: [] });
  client.acknowledges = false;
  const bytes = Buffer.concat([
    Buffer.from(PREFACE),
    settings([3, 10]),
    frame(PRIORITY, 0, 1, Buffer.from([0, 0, 0, 0, 15])),
    frame(HEADERS, WHOLE, 1, block(request('/bytes'))),
    frame(99, 255, 7, 'unknown'),
  ]);
  for (const byte of bytes) {
    client.socket.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await client.answer(1)).toBe('200 ok');
});

test('a head in CONTINUATIONs, with padding and a priority', async () => {
  const client = await frameClient(stage.h2c);
  const bytes = block(request('/parts', [['x-long', 'x'.repeat(5_000)]]));
  const first = Buffer.concat([
    Buffer.from([3]),
    Buffer.from([0, 0, 0, 0, 15]),
    bytes.subarray(0, 100),
    Buffer.alloc(3),
  ]);
  client.send(
    frame(HEADERS, END_STREAM | 8 | 0x20, 1, first),
    frame(CONTINUATION, 0, 1, bytes.subarray(100, 3_000)),
    frame(CONTINUATION, END_HEADERS, 1, bytes.subarray(3_000)),
  );
  expect(await client.answer(1)).toBe('200 ok');
});

test('the window of a stream bounds what is sent, whatever comes of it', async () => {
  const client = await frameClient(stage.h2c, { said: [PREFACE, settings([4, 10])] });
  const body = 'abcdefghijklmnopqrstuvwxyz';
  stage.on('/window', async (connection) => {
    await connection.write(`HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n${body}`);
  });
  client.get(1, '/window');
  await waitFor(() => client.body(1).length === 10, LONG_MS, 'what fits');
  await client.settled();
  expect(client.body(1)).toBe(body.slice(0, 10));
  // A window may become less than nothing: RFC 9113 §6.9.2.
  client.send(settings([4, 5]), frame(WINDOW_UPDATE, 0, 1, uint32(5)));
  await client.settled();
  expect(client.body(1)).toBe(body.slice(0, 10));
  for (let left = 16; left > 0; left--) client.send(frame(WINDOW_UPDATE, 0, 1, uint32(1)));
  expect(await client.answer(1)).toBe(`200 ${body}`);
});

test('more streams than there may be are refused, and can be asked for again', async () => {
  const few = await startHttp2({ limits: { http2_streams: 3 } });
  few.on('/silent', silent);
  const client = await frameClient(few.h2c);
  for (const id of [1, 3, 5, 7]) client.get(id, '/silent');
  expect(await client.resetOf(7)).toBe(REFUSED_STREAM);
  client.send(frame(RST_STREAM, 0, 1, uint32(8)));
  client.get(9, '/free');
  expect(await client.answer(9)).toBe('200 ok');
  const told = client.of(SETTINGS)[0]?.payload ?? Buffer.alloc(0);
  expect(told.subarray(0, 6)).toEqual(Buffer.from([0, 3, 0, 0, 0, 3]));
});

test('a head over the limits is answered, and the table stays the same on both sides', async () => {
  const client = await frameClient(stage.h2c);
  const many: Fields = Array.from({ length: 150 }, (_, index) => [`x-${index}`, 'a']);
  client.get(1, '/', many);
  expect(await client.answer(1)).toContain('431 ');
  client.get(3, `/${'x'.repeat(20_000)}`);
  expect(await client.answer(3)).toContain('ERR_TARGET_TOO_LONG');
  client.get(5, '/after');
  expect(await client.answer(5)).toBe('200 ok');
});

test('a head that is never complete ends with the time of a head', async () => {
  const hurried = await startHttp2({ timeouts: { head: '200ms' } });
  const client = await frameClient(hurried.h2c);
  client.get(1, '/one');
  expect(await client.answer(1)).toBe('200 ok');
  client.send(frame(HEADERS, 0, 3, block(request())));
  expect(await client.goneWith()).toBe(NO_ERROR);
});

test('who asks for nothing is sent away after timeouts.keep_alive', async () => {
  const hurried = await startHttp2({ timeouts: { keep_alive: '200ms' } });
  const client = await frameClient(hurried.h2c);
  client.get(1, '/one');
  expect(await client.answer(1)).toBe('200 ok');
  expect(await client.goneWith()).toBe(NO_ERROR);
});

test('nothing is left, and the counters say how many have broken a rule', async () => {
  const left = await stage.leftover();
  expect(left).toEqual(NOTHING);
  const counted = (await metrics(stage.fairlead)).get(
    'fairlead_errors_total{code="ERR_CLIENT_HTTP2"}',
  );
  expect(counted).toBeGreaterThan(20);
});
