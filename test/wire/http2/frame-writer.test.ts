/** What is written is read as it was meant; how frames look is what frame-reader.test.ts is about. */
import { describe, expect, test } from 'vitest';
import { nameOfError } from '../../../src/data/wire/http2/error-codes.ts';
import { FRAME_HEADER_BYTES } from '../../../src/data/wire/http2/frame-types.ts';
import {
  frameHeaderBlock,
  GOAWAY_BYTES,
  headerFrameBytes,
  PING_BYTES,
  RESET_BYTES,
  SETTINGS_ACK_BYTES,
  WINDOW_UPDATE_BYTES,
  writeDataHeader,
  writeGoaway,
  writePing,
  writeReset,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from '../../../src/data/wire/http2/frame-writer.ts';
import { matchPreface, PREFACE } from '../../../src/data/wire/http2/preface.ts';
import { readFromClient } from './frames.ts';

type Write = (out: Buffer, at: number) => number;

/** @param room that the writer has, to the byte. */
function written(room: number, write: Write): Buffer {
  const out = Buffer.alloc(room + 10, 0xa5);
  expect(write(out, 5)).toBe(5 + room);
  expect(out.subarray(5 + room)).toEqual(Buffer.alloc(5, 0xa5));
  return out.subarray(5, 5 + room);
}

const CASES: readonly (readonly [string, number, Write, readonly string[]])[] = [
  [
    'RST_STREAM',
    RESET_BYTES,
    (out, at) => writeReset(out, at, 2147483647, 8),
    ['reset 2147483647: 8'],
  ],
  [
    'WINDOW_UPDATE',
    WINDOW_UPDATE_BYTES,
    (out, at) => writeWindowUpdate(out, at, 3, 0x7fffffff),
    ['window 3: 2147483647'],
  ],
  [
    'PING',
    PING_BYTES,
    (out, at) => writePing(out, at, false, Buffer.from('x12345678'), 1),
    ['ping 12345678'],
  ],
  [
    'its answer',
    PING_BYTES,
    (out, at) => writePing(out, at, true, Buffer.from('12345678'), 0),
    ['ping ack 12345678'],
  ],
  [
    'SETTINGS',
    21,
    (out, at) => writeSettings(out, at, [3, 100, 4, 0x7fffffff]),
    ['setting 3: 100', 'setting 4: 2147483647', 'settings end'],
  ],
  ['empty SETTINGS', 9, (out, at) => writeSettings(out, at, []), ['settings end']],
  [
    'their acknowledgement',
    SETTINGS_ACK_BYTES,
    (out, at) => writeSettingsAck(out, at),
    ['settings ack'],
  ],
  [
    'GOAWAY',
    GOAWAY_BYTES + 3,
    (out, at) => writeGoaway(out, at, 0x7fffffff, 11, 'bad'),
    ['goaway 2147483647: 11 bad'],
  ],
  [
    'GOAWAY without words',
    GOAWAY_BYTES,
    (out, at) => writeGoaway(out, at, 0, 0, ''),
    ['goaway 0: 0 '],
  ],
];

test.each(CASES)('%s', (_name, room, write, told) => {
  expect(readFromClient(written(room, write))).toEqual(told);
});

test('DATA', () => {
  const bytes = written(9 + 70_000, (out, at) => {
    const start = writeDataHeader(out, at, 1, 70_000, true);
    out.fill('x', start, start + 70_000);
    return start + 70_000;
  });
  const limits = { frameBytes: 100_000, headerBlockBytes: 1, continuations: 1 };
  expect(readFromClient(bytes, limits)).toEqual([
    'data 1 of 70000',
    `bytes 1 ${'x'.repeat(70_000)}`,
    'data end 1, ends',
  ]);
});

describe('a header block', () => {
  test.each([0, 1, 99, 100, 101, 199, 200, 201, 500, 555])('of %i bytes', (length) => {
    const block = Array.from({ length }, (_, index) => String.fromCharCode(33 + (index % 90))).join(
      '',
    );
    const room = headerFrameBytes(length, 100);
    const out = Buffer.alloc(room + 20, 0xa5);
    out.latin1Write(block, 7 + FRAME_HEADER_BYTES);
    const end = frameHeaderBlock(out, 7, length, 5, true, 100);
    expect(end).toBeLessThanOrEqual(7 + room);
    expect(out.subarray(7 + room)).toEqual(Buffer.alloc(13, 0xa5));
    const bytes = Buffer.from(out.subarray(7, end));
    expect(readFromClient(bytes)).toEqual([`headers 5, ends: ${block}`]);
    // No frame is larger than the peer takes.
    const limits = { frameBytes: 100, headerBlockBytes: 1000, continuations: 100 };
    expect(readFromClient(bytes, limits)).toHaveLength(1);
  });
});

test('the preface, whole, in part or not', () => {
  const matches = Array.from({ length: PREFACE.length + 1 }, (_, length) =>
    matchPreface(Buffer.concat([Buffer.from('?'), PREFACE]), 1, 1 + length),
  );
  expect(matches).toEqual([...Array.from({ length: PREFACE.length }, () => 1), 2]);
  for (let at = 0; at < PREFACE.length; at++) {
    const bytes = Buffer.from(PREFACE);
    bytes[at] = 0x58;
    expect([matchPreface(bytes, 0, at), matchPreface(bytes, 0, at + 1)]).toEqual([1, 0]);
  }
  expect(matchPreface(Buffer.concat([PREFACE, PREFACE]), 0, 48)).toBe(2);
  expect(matchPreface(Buffer.from('GET / HTTP/1.1\r\n'), 0, 16)).toBe(0);
});

test('codes have names', () => {
  expect([0, 7, 11, 13, 14, 4294967295].map(nameOfError)).toEqual([
    'NO_ERROR',
    'REFUSED_STREAM',
    'ENHANCE_YOUR_CALM',
    'HTTP_1_1_REQUIRED',
    '0xe',
    '0xffffffff',
  ]);
});
