/**
 * Clients of HTTP/2 that cost more than they are worth: each loses its connection, what it can make us hold is bounded, and others
 * are served meanwhile.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  block,
  type FrameClient,
  frameClient,
  request,
  settings,
} from '../support/frame-client.ts';
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  PING,
  PREFACE,
  PRIORITY,
  RST_STREAM,
  uint32,
  WINDOW_UPDATE,
} from '../support/http2-frames.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import { type Http2Stage, startHttp2 } from './http2-stage.ts';
import { metrics, NOTHING, silent } from './stage.ts';

const ENHANCE_YOUR_CALM = 11;
const MIB = 1024 * 1024;
const MOST_GROWTH = 64 * MIB;

let stage: Http2Stage;
let other: FrameClient;
let restBytes = 0;
let streamId = 1;
beforeAll(async () => {
  stage = await startHttp2({ timeouts: { idle: '1s' }, limits: { buffered: '32MiB' } });
  stage.on('/silent', silent);
  stage.on('/large', async (connection) => {
    connection.socket.on('error', () => {});
    await connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${100 * MIB}\r\n\r\n`);
    const chunk = Buffer.alloc(MIB);
    for (let sent = 0; sent < 100 && !connection.isEnded; sent++) await connection.write(chunk);
    await connection.closed;
    connection.end();
  });
  other = await frameClient(stage.h2c);
  // What honest clients make of the heap of each thread is no attacker's doing.
  for (let thread = 0; thread < 8; thread++) {
    const client = await frameClient(stage.h2c);
    for (let id = 1; id < 1_000; id += 100) {
      const ids = Array.from({ length: 50 }, (_, index) => id + 2 * index);
      for (const one of ids) client.get(one, '/other');
      await Promise.all(ids.map((one) => client.answer(one)));
    }
    client.socket.destroy();
  }
  other.get(streamId);
  await other.answer(streamId);
  restBytes = residentBytes();
});

function residentBytes(): number {
  const status = readFileSync(`/proc/${stage.fairlead.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

async function othersAreServed(): Promise<void> {
  streamId += 2;
  other.get(streamId, '/other');
  expect(await other.answer(streamId)).toBe('200 ok');
}

/** Sends `burst(n)` again and again until the connection is gone. @returns the code of its GOAWAY */
async function floods(
  client: FrameClient,
  burst: (round: number) => readonly Uint8Array[],
): Promise<number> {
  for (let round = 0; !client.isEnded && round < 2_000; round++) {
    client.send(...burst(round));
    if (client.socket.writableNeedDrain) {
      await waitFor(() => client.isEnded || !client.socket.writableNeedDrain, LONG_MS, 'room');
    } else {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  return client.goneWith();
}

const many = (frames: Uint8Array, count = 200): Uint8Array[] => [
  Buffer.concat(Array.from({ length: count }, () => frames)),
];
const head = (id: number, path: string, flags = END_HEADERS | END_STREAM): Uint8Array =>
  frame(HEADERS, flags, id, block(request(path)));

/** @param each the frames of one stream. */
function perStream(each: (id: number) => readonly Uint8Array[]) {
  return (round: number): Uint8Array[] =>
    Array.from({ length: 20 }, (_, index) => each(2 * (round * 20 + index) + 1)).flat();
}

const PRIORITIES = Buffer.from([0, 0, 0, 0, 1]);

describe('ends with ENHANCE_YOUR_CALM', () => {
  test.each<[string, (round: number) => readonly Uint8Array[]]>([
    ['rapid reset', perStream((id) => [head(id, '/silent'), frame(RST_STREAM, 0, id, uint32(8))])],
    [
      'streams that we are made to reset',
      perStream((id) => [head(id, '/silent'), frame(WINDOW_UPDATE, 0, id, uint32(0))]),
    ],
    [
      'bodies that are longer than they say',
      perStream((id) => [
        frame(
          HEADERS,
          END_HEADERS,
          id,
          block(request('/silent', [['content-length', '1']], 'POST')),
        ),
        frame(DATA, 0, id, 'ab'),
      ]),
    ],
    ['malformed requests', perStream((id) => [head(id, '/a b')])],
    ['SETTINGS', () => many(settings([4, 1], [4, 65_535], [4, 1]))],
    ['empty SETTINGS', () => many(settings())],
    ['PING', () => many(frame(PING, 0, 0, 'abcdefgh'))],
    ['answers to PINGs that nobody has sent', () => many(frame(PING, ACK, 0, 'abcdefgh'))],
    ['PRIORITY', () => many(frame(PRIORITY, 0, 3, PRIORITIES))],
    ['unknown frames', () => many(frame(77, 0, 0))],
    ['WINDOW_UPDATE', () => many(frame(WINDOW_UPDATE, 0, 0, uint32(1)))],
    [
      'empty DATA',
      (round) =>
        round === 0
          ? [frame(HEADERS, END_HEADERS, 1, block(request('/silent', [], 'POST')))]
          : many(frame(DATA, 0, 1)),
    ],
    [
      'DATA of one byte',
      (round) =>
        round === 0
          ? [frame(HEADERS, END_HEADERS, 1, block(request('/silent', [], 'POST')))]
          : many(frame(DATA, 0, 1, 'a')),
    ],
    [
      'padding, and nothing else',
      (round) =>
        round === 0
          ? [frame(HEADERS, END_HEADERS, 1, block(request('/silent', [], 'POST')))]
          : many(frame(DATA, 8, 1, Buffer.from([3, 0, 0, 0]))),
    ],
    [
      'CONTINUATION without an end',
      (round) =>
        round === 0
          ? [frame(HEADERS, END_STREAM, 1, block(request()))]
          : many(frame(CONTINUATION, 0, 1, block([['a', 'b']])), 20),
    ],
    [
      'empty CONTINUATION',
      (round) =>
        round === 0
          ? [frame(HEADERS, END_STREAM, 1, block(request()))]
          : many(frame(CONTINUATION, 0, 1), 20),
    ],
  ])('%s', async (_, burst) => {
    const client = await frameClient(stage.h2c);
    const gone = floods(client, burst);
    await othersAreServed();
    expect(await gone).toBe(ENHANCE_YOUR_CALM);
    await othersAreServed();
    expect(residentBytes() - restBytes).toBeLessThan(MOST_GROWTH);
  });
});

test('streams beyond those that it may have cost who never says that it knows how many', async () => {
  const client = await frameClient(stage.h2c);
  client.acknowledges = false;
  const gone = floods(
    client,
    perStream((id) => [head(id, '/silent')]),
  );
  await othersAreServed();
  expect(await gone).toBe(ENHANCE_YOUR_CALM);
  expect(residentBytes() - restBytes).toBeLessThan(MOST_GROWTH);
});

test('small references to a large field are counted as what they stand for', async () => {
  const client = await frameClient(stage.h2c);
  // With incremental indexing: the next 4,000 fields are one byte each.
  const large = Buffer.concat([
    Buffer.from([0x40, 1, 0x61, 127, 0xa1, 0x1d]),
    Buffer.alloc(127 + 0x21 + (0x1d << 7), 'x'),
  ]);
  const bomb = Buffer.concat([block(request('/bomb')), large, Buffer.alloc(4_000, 0xbe)]);
  for (let id = 1; id < 40; id += 2)
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, id, bomb));
  expect(await client.answer(1)).toMatch(/^431 /);
  expect(residentBytes() - restBytes).toBeLessThan(MOST_GROWTH);
  expect(stage.backend.served('/bomb')).toEqual([]);
  await othersAreServed();
});

test('windows that never open hold what a read brings, and no longer than timeouts.idle', async () => {
  const client = await frameClient(stage.h2c, { said: [PREFACE, settings([4, 0])] });
  const ids = Array.from({ length: 100 }, (_, index) => 2 * index + 1);
  for (const id of ids) client.get(id, '/large');
  await waitFor(() => ids.every((id) => client.isEnded || client.of(RST_STREAM, id).length > 0));
  expect(residentBytes() - restBytes).toBeLessThan(MOST_GROWTH);
  await othersAreServed();
});

test('so do answers that are complete, but for their client', async () => {
  const client = await frameClient(stage.h2c, { said: [PREFACE, settings([4, 0])] });
  client.get(1, '/small');
  expect(await client.resetOf(1)).toBe(8);
  client.get(3, '/small');
  client.send(frame(WINDOW_UPDATE, 0, 3, uint32(100)));
  expect(await client.answer(3)).toBe('200 ok');
});

test('a client that asks and does not read is not read on', async () => {
  const client = await frameClient(stage.h2c);
  client.socket.pause();
  // Answers of our own: no window bounds their heads.
  let id = -1;
  const burst = (): Uint8Array[] =>
    Array.from({ length: 100 }, () => {
      id += 2;
      return frame(HEADERS, END_HEADERS | END_STREAM, id, block(request('/', [], 'TRACE')));
    });
  const isStuck = (): boolean => client.socket.writableLength > 4 * MIB;
  for (let round = 0; round < 3_000 && !isStuck() && !client.isEnded; round++) {
    client.send(...burst());
    if (round % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await othersAreServed();
  expect(residentBytes() - restBytes).toBeLessThan(MOST_GROWTH);
  client.socket.destroy();
});

test('nothing is left, and the counters say what it was', async () => {
  other.socket.destroy();
  expect(await stage.leftover()).toEqual(NOTHING);
  // What is held is weighed at each tick.
  const samples = await waitFor(async () => {
    const now = await metrics(stage.fairlead);
    return now.get('fairlead_buffered_bytes') === 0 ? now : null;
  });
  expect(samples.get('fairlead_errors_total{code="ERR_CLIENT_FLOOD"}')).toBeGreaterThanOrEqual(16);
  expect(stage.fairlead.logs().filter(({ level }) => level === 'error')).toEqual([]);
});
