/** What leaves on an HTTP/2 connection, and from which memory; how frames look is what test/wire/http2 is about. */
import { createHash, randomBytes } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import {
  type FrameCarrier,
  Http2Output,
  MAX_DATA_BYTES,
} from '../../src/data/stream/http2-output.ts';
import { ThreadIo } from '../../src/data/stream/thread-io.ts';
import type { FrameReaderRole } from '../../src/data/wire/http2/frame-reader.ts';
import { HeadLines } from '../../src/data/wire/http2/head-lines.ts';
import { SETTING_INITIAL_WINDOW_SIZE } from '../../src/data/wire/http2/settings.ts';
import { MAX_WINDOW, SendWindow } from '../../src/data/wire/http2/windows.ts';
import { readFrames, SETTINGS_FRAME } from '../wire/http2/frames.ts';

const RESPONSE = 'HTTP/1.1 200 OK\r\n\r\n';

/** Writes down what it is given, and whether that was a chunk that need not be copied. */
class Carrier implements FrameCarrier {
  needsDrain = false;
  unsentBytes = 0;
  readonly writes: Buffer[] = [];
  readonly areLent: boolean[] = [];
  readonly #io: ThreadIo;

  constructor(io: ThreadIo) {
    this.#io = io;
  }

  writeBorrowed(buffer: Buffer, start: number, end: number): void {
    this.writes.push(Buffer.from(buffer.subarray(start, end)));
    this.areLent.push(this.#io.lent?.bytes === buffer);
    // Whoever has written is free to do with it as it likes.
    buffer.fill(0xa5, start, end);
  }
}

let io: ThreadIo;
let carrier: Carrier;
let output: Http2Output;
let window: SendWindow;

beforeEach(() => {
  io = new ThreadIo();
  carrier = new Carrier(io);
  output = new Http2Output(carrier, io, { onCrashed: rethrow }, new HeadLines());
  window = new SendWindow(MAX_WINDOW);
  output.window.available = MAX_WINDOW;
});

function rethrow(error: unknown): never {
  throw error;
}

/** The senders of this round have had their turn. */
function endOfRound(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What the peer is told by all that has left. */
function told(role: FrameReaderRole = 'client'): readonly string[] {
  const start = role === 'client' ? [SETTINGS_FRAME] : [];
  const frames = readFrames(role, Buffer.concat([...start, ...carrier.writes]));
  return role === 'client' ? frames.slice(1) : frames;
}

test('the frames of a round leave in one write, and nothing is held behind it', async () => {
  output.settings([SETTING_INITIAL_WINDOW_SIZE, 70_000]);
  output.settingsAck();
  output.ping(true, Buffer.from('.pingpong'), 1);
  output.windowUpdate(3, 9);
  output.reset(5, 8);
  output.goaway(7, 1, 'why');
  expect(carrier.writes).toEqual([]);
  expect(output.unsentBytes).toBe(9 + 6 + 9 + 17 + 13 + 13 + 20);
  expect(output.heldBytes).toBe(8192);
  await endOfRound();
  expect(carrier.writes).toHaveLength(1);
  expect(output.unsentBytes).toBe(0);
  expect(output.heldBytes).toBe(0);
  expect(told()).toEqual([
    `setting ${SETTING_INITIAL_WINDOW_SIZE}: 70000`,
    'settings end',
    'settings ack',
    'ping ack pingpong',
    'window 3: 9',
    'reset 5: 8',
    'goaway 7: 1 why',
  ]);
  await endOfRound();
  expect(carrier.writes).toHaveLength(1);
});

test('a client begins with its preface, and sends requests', async () => {
  output.preface();
  output.settings([]);
  const pseudo = { scheme: 'http', authority: 'test', protocol: '' } as const;
  const bytes = output.request(1, 'GET / HTTP/1.1\r\nAccept: a\r\n\r\n', pseudo, true);
  await endOfRound();
  const all = Buffer.concat(carrier.writes);
  expect(all.length).toBe(24 + 9 + bytes);
  const frames = told('server');
  expect(frames).toHaveLength(2);
  expect(frames[0]).toBe('settings end');
  expect(frames[1]).toMatch(/^headers 1, ends: /);
});

test('a stream ends with its last DATA if that is the last frame of its round, and else with an empty one', async () => {
  output.response(1, RESPONSE, false);
  output.data(1, window, Buffer.from('-one-'), 1, 4, false);
  output.endData(1);
  output.text(3, window, 'three', false);
  output.text(5, window, 'five', false);
  output.endData(3);
  output.endData(5);
  await endOfRound();
  output.text(7, window, 'seven', false);
  await endOfRound();
  output.endData(7);
  await endOfRound();
  expect(told().slice(1)).toEqual([
    'data 1 of 3',
    'bytes 1 one',
    'data end 1, ends',
    'data 3 of 5',
    'bytes 3 three',
    'data end 3',
    'data 5 of 4',
    'bytes 5 five',
    'data end 5',
    'data 3 of 0',
    'data end 3, ends',
    'data 5 of 0',
    'data end 5, ends',
    'data 7 of 5',
    'bytes 7 seven',
    'data end 7',
    'data 7 of 0',
    'data end 7, ends',
  ]);
  expect(output.dataFrames).toBe(7);
});

test('DATA takes of both windows, and its end of none', async () => {
  window.available = output.window.available = 10;
  expect(output.roomIn(window)).toBe(10);
  output.text(1, window, 'seven..', false);
  expect([window.available, output.window.available]).toEqual([3, 3]);
  await endOfRound();
  output.endData(1);
  expect([window.available, output.window.available]).toEqual([3, 3]);
  output.window.available = 2;
  expect(output.roomIn(window)).toBe(2);
  window.available = -4;
  expect(output.roomIn(window)).toBeLessThanOrEqual(0);
  window.available = output.window.available = MAX_WINDOW;
  expect(output.roomIn(window)).toBe(MAX_DATA_BYTES);
  carrier.needsDrain = true;
  expect(output.roomIn(window)).toBe(0);
});

test('a round of any size leaves whole and in order, from chunks that go back', async () => {
  const body = randomBytes(1_000_003);
  for (let at = 0; at < body.length; at += MAX_DATA_BYTES) {
    const end = Math.min(body.length, at + MAX_DATA_BYTES);
    output.data(1, window, body, at, end, false);
  }
  output.endData(1);
  expect(io.chunksInUse).toBeLessThanOrEqual(1);
  await endOfRound();
  expect(io.chunksInUse).toBe(0);
  expect(output.heldBytes).toBe(0);
  expect(carrier.areLent).not.toContain(false);
  const sent = Buffer.from(
    told()
      .filter((line) => line.startsWith('bytes 1 '))
      .map((line) => line.slice('bytes 1 '.length))
      .join(''),
    'latin1',
  );
  expect(sha256(sent)).toBe(sha256(body));
  expect(told().at(-1)).toBe('data end 1, ends');
});

test('what outgrows the small buffer is moved, not sent', async () => {
  output.text(1, window, 'a'.repeat(8000), false);
  output.text(1, window, 'b'.repeat(8000), true);
  expect(carrier.writes).toEqual([]);
  await endOfRound();
  expect(carrier.writes).toHaveLength(1);
  expect(told()).toEqual([
    'data 1 of 8000',
    `bytes 1 ${'a'.repeat(8000)}`,
    'data end 1',
    'data 1 of 8000',
    `bytes 1 ${'b'.repeat(8000)}`,
    'data end 1, ends',
  ]);
});

test('a head that no chunk holds leaves as a whole', async () => {
  output.ping(false, Buffer.alloc(8, 'x'), 0);
  const value = 'v'.repeat(200_000);
  const bytes = output.response(1, `HTTP/1.1 200 OK\r\nX: ${value}\r\n\r\n`, true);
  output.ping(false, Buffer.alloc(8, 'y'), 0);
  await endOfRound();
  const all = Buffer.concat(carrier.writes);
  expect(all.length).toBe(17 + bytes + 17);
  expect(all.subarray(0, 17).includes('xxxxxxxx')).toBe(true);
  expect(all.subarray(-8).toString()).toBe('yyyyyyyy');
  expect(bytes).toBeGreaterThan(200_000);
  expect(output.heldBytes).toBe(0);
  expect(io.chunksInUse).toBe(0);
});

test('what is written from a chunk that is lent leaves it lent', () => {
  const chunk = io.take();
  io.lent = chunk;
  output.data(1, window, chunk.bytes, 0, 100, true);
  output.writeNow();
  expect(io.lent).toBe(chunk);
  expect(carrier.areLent).toEqual([false]);
});

test('memory goes back though the carrier throws', () => {
  carrier.writeBorrowed = () => rethrow(new Error('thrown'));
  output.data(1, window, Buffer.alloc(20_000), 0, 10_000, true);
  expect(() => output.writeNow()).toThrow('thrown');
  expect(io.chunksInUse).toBe(0);
  expect(io.lent).toBe(null);
  expect(output.unsentBytes).toBe(0);
});

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
