/** The bounds of mirrored requests: how many are under way, and what they hold. */
import { expect, test } from 'vitest';
import type { IncomingRequest } from '../../src/data/relay/incoming-request.ts';
import {
  Mirrors,
  MOST_AT_ONCE,
  MOST_HELD_BYTES,
  type Shadow,
} from '../../src/data/relay/mirrors.ts';
import type { BodyTaker, RequestCopy } from '../../src/data/relay/request-copy.ts';
import { BODY_CHUNKED, BODY_NONE, type BodyKind } from '../../src/data/wire/framing.ts';

const MIB = 1024 * 1024;
const all = (_buffer: Buffer, _start: number, end: number): number => end;
const OPEN: BodyTaker = { isComplete: false, error: null, receive: all };
const LAST: BodyTaker = { isComplete: true, error: null, receive: all };

function feed(
  copy: RequestCopy | null,
  buffer: Buffer,
  start: number,
  end: number,
  taker: BodyTaker,
): number | undefined {
  copy?.letIn();
  return copy?.before(taker).receive(buffer, start, end);
}

function setUp() {
  const skipped: string[] = [];
  const pool = {
    copies: 0,
    counters: { mirrored: () => {}, mirrorSkipped: (reason: string) => skipped.push(reason) },
  };
  const begun: { readonly body: Buffer; readonly over: () => void; shadow: Shadow }[] = [];
  const mirrors = new Mirrors();
  let next: Partial<Shadow> = {};
  mirrors.createShadow = (_request, over) => {
    const shadow: Shadow = {
      deadlineMs: 10,
      begin: (body) => begun.push({ body: Buffer.from(body), over, shadow }),
      onDeadline: over,
      cut: over,
      onCrashed: () => {},
      ...next,
    };
    return shadow;
  };
  const copy = (contentLength = -1, mostBytes = 16 * MIB, bodyKind: BodyKind = BODY_CHUNKED) =>
    mirrors.copyOf(
      { pool, facts: { contentLength, bodyKind } } as unknown as IncomingRequest,
      mostBytes,
    );
  return {
    mirrors,
    pool,
    skipped,
    begun,
    copy,
    shadowsAre: (parts: Partial<Shadow>) => (next = parts),
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a body that comes in pieces leaves as a whole, in a turn of its own', async () => {
  const { begun, copy, mirrors, pool } = setUp();
  const one = copy();
  const text = Buffer.from('abcdefghij'.repeat(1000));
  for (let at = 0; at < text.length; at += 7) {
    const end = Math.min(at + 7, text.length);
    feed(one, text, at, end, end === text.length ? LAST : OPEN);
  }
  expect(begun).toEqual([]);
  await turn();
  expect(begun.map(({ body }) => body.equals(text))).toEqual([true]);
  expect([pool.copies, mirrors.heldBytes >= text.length]).toEqual([1, true]);
  // Its request is over sooner than it is.
  one?.drop();
  expect(mirrors.heldBytes).toBeGreaterThanOrEqual(text.length);
  begun[0]?.over();
  begun[0]?.over();
  expect([pool.copies, mirrors.heldBytes]).toEqual([0, 0]);
});

test('the copy is what was sent, whatever becomes of the bytes, and nothing of what comes behind', async () => {
  const { begun, copy } = setUp();
  const bytes = Buffer.from('..3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1');
  const taker: BodyTaker = {
    ...LAST,
    receive: (buffer, start) => {
      buffer.fill('x', start);
      return start + 13;
    },
  };
  expect(feed(copy(), bytes, 2, bytes.length, taker)).toBe(15);
  await turn();
  expect(String(begun[0]?.body)).toBe('3\r\nabc\r\n0\r\n\r\n');
});

test('a body that grows too long is given up, and what it held is free', () => {
  const { copy, mirrors, skipped } = setUp();
  const one = copy(-1, 10_000);
  const bytes = Buffer.alloc(6000);
  feed(one, bytes, 0, 6000, OPEN);
  expect(mirrors.heldBytes).toBeGreaterThan(0);
  feed(one, bytes, 0, 6000, OPEN);
  feed(one, bytes, 0, 6000, LAST);
  one?.letIn();
  one?.drop();
  expect([skipped, mirrors.heldBytes]).toEqual([['body'], 0]);
});

test('one whose length is told is known at once', () => {
  const { copy, skipped } = setUp();
  expect(copy(10_001, 10_000)).toBeNull();
  expect(skipped).toEqual(['body']);
});

test('what all of them hold is bounded', () => {
  const { copy, mirrors, skipped } = setUp();
  const bytes = Buffer.alloc(4 * MIB);
  const copies = Array.from({ length: 5 }, () => copy(bytes.length));
  for (const one of copies) feed(one, bytes, 0, bytes.length, OPEN);
  expect([skipped, mirrors.heldBytes]).toEqual([['busy'], MOST_HELD_BYTES]);
  for (const one of copies) one?.drop();
  expect(mirrors.heldBytes).toBe(0);
});

test('so are those under way, though they left at once', async () => {
  const { begun, copy, pool, skipped } = setUp();
  for (let one = 0; one < MOST_AT_ONCE + 3; one++) copy(-1, MIB, BODY_NONE)?.letIn();
  await turn();
  expect([begun.length, pool.copies, skipped.length]).toEqual([MOST_AT_ONCE, MOST_AT_ONCE, 3]);
  expect(copy()).toBeNull();
  begun[0]?.over();
  expect(copy()).not.toBeNull();
});

test('a body that is refused does not leave', async () => {
  const { begun, copy, mirrors } = setUp();
  const one = copy();
  feed(one, Buffer.from('abc'), 0, 3, OPEN);
  feed(one, Buffer.from('abc'), 0, 3, { ...LAST, error: 'ERR_BAD_CHUNK' });
  one?.drop();
  await turn();
  expect([begun, mirrors.heldBytes]).toEqual([[], 0]);
});

test('what is not let in does not leave, though it is complete', async () => {
  const { begun, copy } = setUp();
  const one = copy();
  one?.before(LAST).receive(Buffer.from('abc'), 0, 3);
  await turn();
  expect(begun).toEqual([]);
  one?.letIn();
  await turn();
  expect(begun.map(({ body }) => String(body))).toEqual(['abc']);
});

test('an exception costs the copy, and no other', async () => {
  const { begun, copy, mirrors, pool, shadowsAre } = setUp();
  const crashed: unknown[] = [];
  shadowsAre({
    begin: () => {
      throw new Error('begin');
    },
    onCrashed: (error) => crashed.push(error),
  });
  feed(copy(), Buffer.from('abc'), 0, 3, LAST);
  await turn();
  expect([crashed.length, pool.copies, mirrors.heldBytes]).toEqual([1, 0, 0]);
  shadowsAre({});
  copy(-1, MIB, BODY_NONE)?.letIn();
  await turn();
  expect(begun).toHaveLength(1);
});

test('deadlines are looked at at each tick, and the end cuts all', async () => {
  const { copy, mirrors, pool } = setUp();
  copy(-1, MIB, BODY_NONE)?.letIn();
  await turn();
  mirrors.tick(9);
  expect(pool.copies).toBe(1);
  mirrors.tick(10);
  expect(pool.copies).toBe(0);
  copy(-1, MIB, BODY_NONE)?.letIn();
  copy(-1, MIB, BODY_NONE)?.letIn();
  await turn();
  mirrors.stop();
  expect(pool.copies).toBe(0);
});
