import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CLOSE_GOING_AWAY, FrameTracker } from '../../src/data/wire/websocket-frames.ts';

interface Frame {
  readonly first: number;
  readonly length: number;
}

/** A frame as a server sends it; its payload is full of bytes that could be taken for a header. */
function bytesOf({ first, length }: Frame): Buffer {
  const header =
    length < 126
      ? Buffer.from([first, length])
      : length < 65_536
        ? Buffer.from([first, 126, length >> 8, length & 255])
        : Buffer.from([first, 127, 0, 0, 0, 0, 0, length >> 16, (length >> 8) & 255, length & 255]);
  return Buffer.concat([header, Buffer.alloc(length, 0x81)]);
}

const dataFrame = fc.record({
  // Text, binary and continuation, whole or fragmented, compressed or not.
  first: fc.constantFrom(0x81, 0x82, 0x80, 0x01, 0x02, 0x00, 0xc1, 0x41, 0xc2),
  length: fc.oneof(
    fc.integer({ min: 0, max: 300 }),
    fc.constantFrom(0, 1, 125, 126, 127, 65_535, 65_536, 70_000),
  ),
});
const controlFrame = fc.record({
  first: fc.constantFrom(0x89, 0x8a),
  length: fc.integer({ min: 0, max: 125 }),
});
const frames = fc.array(fc.oneof({ weight: 3, arbitrary: dataFrame }, controlFrame), {
  maxLength: 12,
});

/** Where the stream may be cut, as shares of its length. */
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 });

function piecesOf(stream: Buffer, shares: readonly number[]): [start: number, end: number][] {
  const places = [0, ...shares.map((share) => Math.round(share * stream.length)), stream.length];
  places.sort((a, b) => a - b);
  return places.slice(1).map((end, index) => [places[index] as number, end]);
}

describe('a stream of frames', () => {
  test('is at a boundary exactly where a frame has ended, however it comes', () => {
    fc.assert(
      fc.property(frames, cuts, (list, shares) => {
        const parts = list.map(bytesOf);
        const stream = Buffer.concat(parts);
        const boundaries = new Set([0]);
        let length = 0;
        for (const part of parts) boundaries.add((length += part.length));
        const tracker = new FrameTracker();
        for (const [start, end] of piecesOf(stream, shares)) {
          expect(tracker.advance(stream, start, end, false)).toBe(end);
          expect(tracker.isAtBoundary).toBe(boundaries.has(end));
        }
        expect(tracker.isLost).toBe(false);
        expect(tracker.hasClosed).toBe(false);
      }),
    );
  });

  test('is followed to the first boundary and no further, however it comes', () => {
    fc.assert(
      fc.property(frames, cuts, fc.nat(20), (list, shares, asked) => {
        const parts = list.map(bytesOf);
        const stream = Buffer.concat(parts);
        const boundaries: number[] = [];
        let length = 0;
        for (const part of parts) boundaries.push((length += part.length));
        const tracker = new FrameTracker();
        for (const [index, [start, end]] of piecesOf(stream, shares).entries()) {
          if (index < asked) {
            tracker.advance(stream, start, end, false);
            continue;
          }
          if (start === end) continue;
          const next = boundaries.find((boundary) => boundary > start) ?? Number.NaN;
          const reached = tracker.advance(stream, start, end, true);
          expect(reached).toBe(next <= end ? next : end);
          expect(tracker.isAtBoundary).toBe(next <= end);
          if (next <= end) return;
        }
      }),
    );
  });

  test('any bytes at all: it says how far it went, and never goes back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), cuts, (bytes, shares) => {
        const stream = Buffer.from(bytes);
        const whole = new FrameTracker();
        whole.advance(stream, 0, stream.length, false);
        const split = new FrameTracker();
        for (const [start, end] of piecesOf(stream, shares)) {
          expect(split.advance(stream, start, end, false)).toBe(end);
        }
        expect([split.isLost, split.isAtBoundary]).toEqual([whole.isLost, whole.isAtBoundary]);
      }),
    );
  });
});

test('a payload of 2^40 bytes is skipped, not counted', () => {
  const tracker = new FrameTracker();
  tracker.advance(Buffer.from([0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0]), 0, 10, false);
  const piece = Buffer.alloc(1024);
  for (let index = 0; index < 1000; index++) tracker.advance(piece, 0, piece.length, false);
  expect([tracker.isAtBoundary, tracker.isLost]).toEqual([false, false]);
});

test('a close frame is seen', () => {
  const tracker = new FrameTracker();
  const close = Buffer.from(CLOSE_GOING_AWAY, 'latin1');
  expect(close.toString('hex')).toBe('880203e9');
  tracker.advance(close, 0, 1, false);
  expect([tracker.hasClosed, tracker.isAtBoundary]).toEqual([true, false]);
  tracker.advance(close, 1, close.length, false);
  expect([tracker.hasClosed, tracker.isAtBoundary]).toEqual([true, true]);
});

test.each([
  ['text', Buffer.from('ping')],
  ['an HTTP response', Buffer.from('HTTP/1.1 200 OK\r\n')],
  ['a reserved opcode', [0x83, 0]],
  ['a reserved control opcode', [0x8b, 0]],
  ['a reserved bit', [0xa1, 0]],
  ['a masked frame', [0x81, 0x81, 1, 2, 3, 4, 5]],
  ['a fragmented ping', [0x09, 0]],
  ['a long ping', [0x89, 126, 0, 126]],
  ['a length in two bytes that needs one', [0x81, 126, 0, 125]],
  ['a length in eight bytes that needs two', [0x81, 127, 0, 0, 0, 0, 0, 0, 255, 255]],
  ['a length over 2^53', [0x81, 127, 0, 32, 0, 0, 0, 0, 0, 0]],
  ['a negative length', [0x81, 127, 255, 255, 255, 255, 255, 255, 255, 255]],
])('%s is no framing, for good', (_name, bytes) => {
  const tracker = new FrameTracker();
  const stream = Buffer.concat([Buffer.from(bytes), bytesOf({ first: 0x81, length: 5 })]);
  expect(tracker.advance(stream, 0, stream.length, true)).toBe(stream.length);
  expect([tracker.isLost, tracker.isAtBoundary]).toEqual([true, false]);
});
