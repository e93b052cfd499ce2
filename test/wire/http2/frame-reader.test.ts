import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  PROTOCOL_ERROR,
} from '../../../src/data/wire/http2/error-codes.ts';
import { FrameReader } from '../../../src/data/wire/http2/frame-reader.ts';
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  GOAWAY,
  HAS_PRIORITY,
  HEADERS,
  PADDED,
  PING,
  PRIORITY,
  PRIORITY_UPDATE,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from '../../../src/data/wire/http2/frame-types.ts';
import { PREFACE } from '../../../src/data/wire/http2/preface.ts';
import { frame } from '../../support/http2-frames.ts';
import { hex } from './blocks.ts';
import {
  CLIENT_START,
  FRAME_LIMITS,
  Recorder,
  readFrames,
  readFromClient,
  SETTINGS_FRAME,
} from './frames.ts';

const UNKNOWN = 0x42;

describe('frames', () => {
  test.each([
    ['DATA', frame(DATA, 0, 1, 'abc'), ['data 1 of 3', 'bytes 1 abc', 'data end 1']],
    ['the last DATA', frame(DATA, END_STREAM, 3), ['data 3 of 0', 'data end 3, ends']],
    [
      'padded DATA',
      frame(DATA, PADDED | END_STREAM, 1, '\x02abc??'),
      ['data 1 of 6', 'bytes 1 abc', 'data end 1, ends'],
    ],
    ['DATA that is padding', frame(DATA, PADDED, 1, '\x02??'), ['data 1 of 3', 'data end 1']],
    ['DATA padded with nothing', frame(DATA, PADDED, 1, '\0'), ['data 1 of 1', 'data end 1']],
    ['HEADERS', frame(HEADERS, END_HEADERS, 1, 'abc'), ['headers 1: abc']],
    ['empty HEADERS', frame(HEADERS, END_HEADERS | END_STREAM, 1), ['headers 1, ends: ']],
    [
      'HEADERS with all that they may have',
      frame(HEADERS, END_HEADERS | END_STREAM | PADDED | HAS_PRIORITY, 1, '\x03\0\0\0\0\0abc???'),
      ['headers 1, ends: abc'],
    ],
    [
      'HEADERS that are padding',
      frame(HEADERS, END_HEADERS | PADDED | HAS_PRIORITY, 1, '\x01\0\0\0\0\0?'),
      ['headers 1: '],
    ],
    [
      'HEADERS and CONTINUATIONs',
      Buffer.concat([
        frame(HEADERS, END_STREAM | PADDED, 1, '\x01ab?'),
        frame(CONTINUATION, 0, 1, 'cd'),
        frame(CONTINUATION, 0, 1, ''),
        frame(CONTINUATION, END_HEADERS, 1, 'e'),
        frame(HEADERS, END_HEADERS, 3, 'f'),
      ]),
      ['headers 1, ends: abcde', 'headers 3: f'],
    ],
    ['PRIORITY', frame(PRIORITY, 0, 2, 'abcde'), ['ignored 2']],
    ['RST_STREAM', frame(RST_STREAM, 0, 5, hex('ff00 0008')), ['reset 5: 4278190088']],
    [
      'SETTINGS',
      frame(
        SETTINGS,
        0,
        0,
        hex('0001 0000 0000 0003 ffff ffff 0004 7fff ffff 0005 00ff ffff 00f0 0000 0009'),
      ),
      [
        'setting 1: 0',
        'setting 3: 4294967295',
        'setting 4: 2147483647',
        'setting 5: 16777215',
        'setting 240: 9',
        'settings end',
      ],
    ],
    ['SETTINGS that are acknowledged', frame(SETTINGS, ACK, 0), ['settings ack']],
    ['PING', frame(PING, 0, 0, '12345678'), ['ping 12345678']],
    ['its answer', frame(PING, ACK, 0, '12345678'), ['ping ack 12345678']],
    ['GOAWAY', frame(GOAWAY, 0, 0, hex('8000 0007 0000 0000')), ['goaway 7: 0 ']],
    [
      'GOAWAY with words',
      frame(
        GOAWAY,
        0,
        0,
        Buffer.concat([hex('7fff ffff 0000 000b'), Buffer.from('too\r\nbad\xe9')]),
      ),
      ['goaway 2147483647: 11 too..bad..'],
    ],
    ['WINDOW_UPDATE', frame(WINDOW_UPDATE, 0, 0, hex('8000 0001')), ['window 0: 1']],
    ['that of a stream', frame(WINDOW_UPDATE, 0, 9, hex('7fff ffff')), ['window 9: 2147483647']],
    ['PRIORITY_UPDATE', frame(PRIORITY_UPDATE, 0, 0, '\0\0\0\x03u=1, i'), ['priority 3: u=1, i']],
    ['what nobody knows', frame(UNKNOWN, 0xff, 77, 'abc'), ['ignored 66']],
    ['flags that mean nothing', frame(PING, 0xfe, 0, '12345678'), ['ping 12345678']],
  ])('%s', (_name, bytes, told) => {
    expect(readFromClient(bytes)).toEqual(told);
    // One after the other.
    expect(readFromClient(Buffer.concat([bytes, bytes]))).toEqual([...told, ...told]);
  });

  test('of a stream number whose first bit is set: the bit is ignored', () => {
    const bytes = frame(DATA, 0, 1, 'a');
    bytes[5] = 0x80;
    expect(readFromClient(bytes)[0]).toBe('data 1 of 1');
  });

  test('words and priorities are cut', () => {
    const long = 'x'.repeat(10_000);
    expect(readFromClient(frame(GOAWAY, 0, 0, `${'\0'.repeat(8)}${long}`))).toEqual([
      `goaway 0: 0 ${'x'.repeat(128)}`,
    ]);
    expect(readFromClient(frame(PRIORITY_UPDATE, 0, 0, `\0\0\0\x01${long}`))).toEqual([
      `priority 1: ${'x'.repeat(256)}`,
    ]);
  });
});

describe('an error of the connection', () => {
  test.each([
    ['DATA on stream 0', frame(DATA, 0, 0, 'a'), PROTOCOL_ERROR],
    ['DATA on a stream of the server', frame(DATA, 0, 2, 'a'), PROTOCOL_ERROR],
    ['padded DATA without a pad length', frame(DATA, PADDED, 1), FRAME_SIZE_ERROR],
    ['DATA with as much padding as payload', frame(DATA, PADDED, 1, '\x04abc'), PROTOCOL_ERROR],
    ['HEADERS on stream 0', frame(HEADERS, END_HEADERS, 0, 'a'), PROTOCOL_ERROR],
    ['HEADERS on a stream of the server', frame(HEADERS, END_HEADERS, 2, 'a'), PROTOCOL_ERROR],
    ['padded HEADERS without a pad length', frame(HEADERS, PADDED, 1), FRAME_SIZE_ERROR],
    ['HEADERS without their priority', frame(HEADERS, HAS_PRIORITY, 1, 'abcd'), FRAME_SIZE_ERROR],
    [
      'HEADERS without either',
      frame(HEADERS, HAS_PRIORITY | PADDED, 1, '\0abcd'),
      FRAME_SIZE_ERROR,
    ],
    [
      'HEADERS with too much padding',
      frame(HEADERS, PADDED | END_HEADERS, 1, '\x03ab'),
      PROTOCOL_ERROR,
    ],
    [
      'HEADERS with padding over their priority',
      frame(HEADERS, PADDED | HAS_PRIORITY | END_HEADERS, 1, '\x02\0\0\0\0\0a'),
      PROTOCOL_ERROR,
    ],
    ['PRIORITY on stream 0', frame(PRIORITY, 0, 0, 'abcde'), PROTOCOL_ERROR],
    ['RST_STREAM on stream 0', frame(RST_STREAM, 0, 0, 'abcd'), PROTOCOL_ERROR],
    ['RST_STREAM that is too short', frame(RST_STREAM, 0, 1, 'abc'), FRAME_SIZE_ERROR],
    ['RST_STREAM that is too long', frame(RST_STREAM, 0, 1, 'abcde'), FRAME_SIZE_ERROR],
    ['SETTINGS on a stream', frame(SETTINGS, 0, 1), PROTOCOL_ERROR],
    ['SETTINGS of 5 bytes', frame(SETTINGS, 0, 0, 'abcde'), FRAME_SIZE_ERROR],
    [
      'an acknowledgement that says something',
      frame(SETTINGS, ACK, 0, '\0\x01abcd'),
      FRAME_SIZE_ERROR,
    ],
    ['PUSH_PROMISE', frame(PUSH_PROMISE, END_HEADERS, 1, '\0\0\0\x02'), PROTOCOL_ERROR],
    ['PING on a stream', frame(PING, 0, 1, '12345678'), PROTOCOL_ERROR],
    ['PING of 7 bytes', frame(PING, 0, 0, '1234567'), FRAME_SIZE_ERROR],
    ['PING of 9 bytes', frame(PING, 0, 0, '123456789'), FRAME_SIZE_ERROR],
    ['GOAWAY on a stream', frame(GOAWAY, 0, 1, '12345678'), PROTOCOL_ERROR],
    ['GOAWAY of 7 bytes', frame(GOAWAY, 0, 0, '1234567'), FRAME_SIZE_ERROR],
    ['WINDOW_UPDATE of 3 bytes', frame(WINDOW_UPDATE, 0, 0, 'abc'), FRAME_SIZE_ERROR],
    ['WINDOW_UPDATE of 5 bytes', frame(WINDOW_UPDATE, 0, 1, 'abcde'), FRAME_SIZE_ERROR],
    ['WINDOW_UPDATE by nothing', frame(WINDOW_UPDATE, 0, 0, hex('8000 0000')), PROTOCOL_ERROR],
    ['CONTINUATION of nothing', frame(CONTINUATION, END_HEADERS, 1, 'a'), PROTOCOL_ERROR],
    ['PRIORITY_UPDATE on a stream', frame(PRIORITY_UPDATE, 0, 1, '\0\0\0\x01u'), PROTOCOL_ERROR],
    ['PRIORITY_UPDATE of 3 bytes', frame(PRIORITY_UPDATE, 0, 0, 'abc'), FRAME_SIZE_ERROR],
    ['PRIORITY_UPDATE for stream 0', frame(PRIORITY_UPDATE, 0, 0, '\0\0\0\0u'), PROTOCOL_ERROR],
    ['PRIORITY_UPDATE for a push', frame(PRIORITY_UPDATE, 0, 0, '\0\0\0\x02u'), PROTOCOL_ERROR],
    ['a frame that is too long', frame(DATA, 0, 1, 'x'.repeat(16385)), FRAME_SIZE_ERROR],
    ['one that nobody knows', frame(UNKNOWN, 0, 1, 'x'.repeat(16385)), FRAME_SIZE_ERROR],
  ])('%s', (_name, bytes, code) => {
    const [start, ...rest] = readFromClient(Buffer.concat([bytes, frame(PING, 0, 0, '12345678')]));
    const told = start?.startsWith('data ') ? rest : [start, ...rest];
    expect(told).toEqual([`connection error: ${code}`]);
  });

  test.each([
    ['ENABLE_PUSH', '0002 0000 0002', PROTOCOL_ERROR],
    ['INITIAL_WINDOW_SIZE', '0004 8000 0000', FLOW_CONTROL_ERROR],
    ['MAX_FRAME_SIZE that is too small', '0005 0000 3fff', PROTOCOL_ERROR],
    ['MAX_FRAME_SIZE that is too large', '0005 0100 0000', PROTOCOL_ERROR],
    ['ENABLE_CONNECT_PROTOCOL', '0008 0000 0002', PROTOCOL_ERROR],
    ['NO_RFC7540_PRIORITIES', '0009 0000 0002', PROTOCOL_ERROR],
  ])('a setting: %s', (_name, payload, code) => {
    const bytes = frame(SETTINGS, 0, 0, hex(`0001 0000 0000 ${payload} 0001 0000 0001`));
    expect(readFromClient(bytes)).toEqual(['setting 1: 0', `connection error: ${code}`]);
  });

  test.each([
    ['another type', frame(DATA, 0, 1, 'a')],
    ['a type that nobody knows', frame(UNKNOWN, 0, 1, 'a')],
    ['HEADERS', frame(HEADERS, END_HEADERS, 1, 'a')],
    ['a CONTINUATION of another stream', frame(CONTINUATION, END_HEADERS, 3, 'a')],
    ['PING', frame(PING, 0, 0, '12345678')],
  ])('within a header block: %s', (_name, bytes) => {
    const begun = Buffer.concat([frame(HEADERS, 0, 1, 'a'), bytes]);
    expect(readFromClient(begun)).toEqual([`connection error: ${PROTOCOL_ERROR}`]);
  });
});

describe('an error of a stream, behind which reading goes on', () => {
  test.each([
    [
      'PRIORITY of a wrong size',
      frame(PRIORITY, 0, 3, 'abcd'),
      ['ignored 2', `stream error 3: ${FRAME_SIZE_ERROR}`],
    ],
    [
      'WINDOW_UPDATE by nothing',
      frame(WINDOW_UPDATE, 0, 3, hex('0000 0000')),
      [`stream error 3: ${PROTOCOL_ERROR}`],
    ],
  ])('%s', (_name, bytes, told) => {
    expect(readFromClient(Buffer.concat([bytes, frame(PING, 0, 0, '12345678')]))).toEqual([
      ...told,
      'ping 12345678',
    ]);
  });
});

describe('how a connection begins', () => {
  test('with the preface, of a client', () => {
    expect(readFrames('server', CLIENT_START)).toEqual(['settings end']);
    for (let at = 0; at < PREFACE.length; at++) {
      const bytes = Buffer.from(CLIENT_START);
      bytes[at] = 0x58;
      expect(readFrames('server', bytes)).toEqual([`connection error: ${PROTOCOL_ERROR}`]);
    }
  });

  test('without it, of a server', () => {
    expect(readFrames('client', SETTINGS_FRAME)).toEqual(['settings end']);
  });

  test.each([
    ['PING', frame(PING, 0, 0, '12345678')],
    ['an acknowledgement', frame(SETTINGS, ACK, 0)],
    ['what nobody knows', frame(UNKNOWN, 0, 0, '')],
  ])('not with %s', (_name, bytes) => {
    expect(readFrames('client', bytes)).toEqual([`connection error: ${PROTOCOL_ERROR}`]);
  });

  test('a server sends no PRIORITY_UPDATE', () => {
    const bytes = Buffer.concat([SETTINGS_FRAME, frame(PRIORITY_UPDATE, 0, 0, '\0\0\0\x01u=1')]);
    expect(readFrames('client', bytes).slice(1)).toEqual([`connection error: ${PROTOCOL_ERROR}`]);
  });
});

function blockOf(length: number): Buffer {
  return frame(HEADERS, END_HEADERS, 1, 'x'.repeat(length));
}

function blockInTwo(length: number): Buffer {
  return Buffer.concat([
    frame(HEADERS, 0, 1, 'x'.repeat(5)),
    frame(CONTINUATION, END_HEADERS, 1, 'x'.repeat(length - 5)),
  ]);
}

/** HEADERS, and so many CONTINUATIONs. */
function emptyBlock(count: number): Buffer {
  return Buffer.concat([
    frame(HEADERS, 0, 1),
    ...Array.from({ length: count - 1 }, () => frame(CONTINUATION, 0, 1)),
    frame(CONTINUATION, END_HEADERS, 1),
  ]);
}

describe('header blocks are bounded', () => {
  const limits = { ...FRAME_LIMITS, headerBlockBytes: 10, continuations: 3 };
  const told = [`headers 1: ${'x'.repeat(10)}`];
  const calm = [`connection error: ${ENHANCE_YOUR_CALM}`];

  test('in bytes', () => {
    expect(readFromClient(blockOf(10), limits)).toEqual(told);
    expect(readFromClient(blockOf(11), limits)).toEqual(calm);
    expect(readFromClient(blockInTwo(10), limits)).toEqual(told);
    expect(readFromClient(blockInTwo(11), limits)).toEqual(calm);
  });

  test('in frames, be they empty', () => {
    expect(readFromClient(emptyBlock(3), limits)).toEqual(['headers 1: ']);
    expect(readFromClient(emptyBlock(4), limits)).toEqual(calm);
    // Each block is counted for itself.
    const several = Buffer.concat([emptyBlock(3), emptyBlock(3)]);
    expect(readFromClient(several, limits)).toHaveLength(2);
  });
});

test('memory is taken as bytes come, not as they are announced, and given back', () => {
  const reader = new FrameReader('client', new Recorder(), FRAME_LIMITS);
  reader.read(SETTINGS_FRAME, 0, SETTINGS_FRAME.length);
  expect(reader.heldBytes).toBe(0);
  const bytes = frame(HEADERS, 0, 1, 'x'.repeat(16384));
  reader.read(bytes, 0, 9 + 10);
  expect(reader.heldBytes).toBeLessThan(200);
  reader.read(bytes, 19, bytes.length);
  const end = frame(CONTINUATION, END_HEADERS, 1, '');
  expect(reader.heldBytes).toBeGreaterThanOrEqual(16384);
  reader.read(end, 0, end.length);
  expect(reader.heldBytes).toBe(0);
});

test('nothing is told once it is stopped, wherever that was', () => {
  const bytes = Buffer.concat([
    CLIENT_START,
    frame(SETTINGS, 0, 0, hex('0001 0000 0000 0003 0000 0001')),
    frame(DATA, PADDED | END_STREAM, 1, '\x02abc??'),
    frame(HEADERS, END_HEADERS, 3, 'a'),
    frame(PRIORITY, 0, 3, 'abcd'),
    frame(PING, 0, 0, '12345678'),
    frame(PING, 0, 1, '12345678'),
  ]);
  const all = readFrames('server', bytes);
  expect(all).toHaveLength(12);
  for (let count = 1; count < all.length; count++) {
    expect(readFrames('server', bytes, { stopAfter: count })).toEqual(all.slice(0, count));
  }
});

// ── Any bytes ───────────────────────────────────────────────────────────────────────────────────────────────────────

const anyFrame = fc
  .record({
    type: fc.oneof(fc.nat({ max: 9 }), fc.constantFrom(PRIORITY_UPDATE, UNKNOWN)),
    flags: fc.constantFrom(0, ACK, END_HEADERS, END_HEADERS | END_STREAM, PADDED, 0x2d, 0xff),
    streamId: fc.constantFrom(0, 0, 1, 1, 3, 2),
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc.constantFrom(4, 5, 6, 8).map((length) => new Uint8Array(length).fill(1)),
    ),
  })
  .map(({ type, flags, streamId, payload }) => frame(type, flags, streamId, payload));

/** A header block that is right, so that random frames get further. */
const block = fc
  .tuple(fc.uint8Array({ maxLength: 6 }), fc.uint8Array({ maxLength: 6 }))
  .map(([first, second]) =>
    Buffer.concat([frame(HEADERS, 0, 1, first), frame(CONTINUATION, END_HEADERS, 1, second)]),
  );

const stream = fc
  .array(fc.oneof({ weight: 3, arbitrary: anyFrame }, { weight: 1, arbitrary: block }), {
    maxLength: 8,
  })
  .map((frames) => Buffer.concat([CLIENT_START, ...frames]));

const mutatedStream = fc
  .tuple(stream, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 2 }))
  .map(([bytes, changes]) => {
    for (const [at, byte] of changes)
      bytes[PREFACE.length + (at % (bytes.length - PREFACE.length))] = byte;
    return bytes;
  });

test('any split of any bytes is told alike', () => {
  const limits = { frameBytes: 16384, headerBlockBytes: 10, continuations: 2 };
  fc.assert(
    fc.property(mutatedStream, fc.array(fc.nat(), { maxLength: 6 }), (bytes, random) => {
      const whole = readFrames('server', bytes, { limits });
      const everyByte = Array.from({ length: bytes.length }, (_, index) => index);
      const some = random.map((at) => at % bytes.length).toSorted((a, b) => a - b);
      expect(readFrames('server', bytes, { limits, splits: everyByte })).toEqual(whole);
      expect(readFrames('server', bytes, { limits, splits: some })).toEqual(whole);
      expect(readFrames('server', bytes, { limits, splits: some, mostWork: 1 })).toEqual(whole);
    }),
    { numRuns: 200 },
  );
});

/** Of a hundred such frames, at once. */
function readOf(one: Buffer): number {
  const recorder = new Recorder();
  const reader = new FrameReader('server', recorder, FRAME_LIMITS);
  const bytes = Buffer.concat([CLIENT_START, ...Array.from({ length: 100 }, () => one)]);
  const start = reader.read(bytes, 0, CLIENT_START.length);
  reader.read(bytes, start, bytes.length, 50);
  return recorder.told.length - 1;
}

test('no more is read at once than may be: requests are dearer than frames, and calling them off is too', () => {
  expect(readOf(frame(WINDOW_UPDATE, 0, 0, Buffer.of(0, 0, 0, 1)))).toBe(50);
  expect(readOf(frame(HEADERS, END_HEADERS, 1, 'abc'))).toBe(1);
  expect(readOf(frame(RST_STREAM, 0, 1, Buffer.alloc(4)))).toBe(1);
});
