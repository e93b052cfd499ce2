/** The bounds of mirrored requests: how many are under way, and what they hold. */
import { expect, test } from 'vitest';
import type { IncomingRequest } from '../../src/data/relay/incoming-request.ts';
import {
  Mirrors,
  MOST_AT_ONCE,
  MOST_HELD_BYTES,
  type Shadow,
} from '../../src/data/relay/mirrors.ts';
import type { RequestCopy } from '../../src/data/relay/request-copy.ts';
import { BODY_CHUNKED, BODY_NONE, type BodyKind } from '../../src/data/wire/framing.ts';

const MIB = 1024 * 1024;

function feed(copy: RequestCopy | null, buffer: Buffer, start: number, end: number): void {
  copy?.letIn();
  copy?.take(buffer, start, end);
}

function setUp() {
  const skipped: string[] = [];
  const pool = {
    copies: 0,
    counters: { mirrored: () => {}, mirrorSkipped: (reason: string) => skipped.push(reason) },
  };
  const begun: {
    readonly body: Buffer;
    readonly trailers: string;
    readonly over: () => void;
    shadow: Shadow;
  }[] = [];
  const mirrors = new Mirrors();
  let next: Partial<Shadow> = {};
  mirrors.createShadow = (_request, over) => {
    const shadow: Shadow = {
      deadlineMs: 10,
      begin: (body, trailers) => begun.push({ body: Buffer.from(body), trailers, over, shadow }),
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
    feed(one, text, at, Math.min(at + 7, text.length));
  }
  await turn();
  expect(begun).toEqual([]);
  one?.complete('');
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

test('the copy is what was sent, whatever becomes of the bytes, and has its trailers', async () => {
  const { begun, copy } = setUp();
  const one = copy();
  const bytes = Buffer.from('..abc..');
  feed(one, bytes, 2, 5);
  bytes.fill('x');
  one?.complete('A: b\r\n');
  await turn();
  expect(begun.map(({ body, trailers }) => [String(body), trailers])).toEqual([
    ['abc', 'A: b\r\n'],
  ]);
});

test('a body that grows too long is given up, and what it held is free', () => {
  const { copy, mirrors, skipped } = setUp();
  const one = copy(-1, 10_000);
  const bytes = Buffer.alloc(6000);
  feed(one, bytes, 0, 6000);
  expect(mirrors.heldBytes).toBeGreaterThan(0);
  feed(one, bytes, 0, 6000);
  feed(one, bytes, 0, 6000);
  one?.complete('');
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
  for (const one of copies) feed(one, bytes, 0, bytes.length);
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

test('a body that never ends does not leave', async () => {
  const { begun, copy, mirrors } = setUp();
  const one = copy();
  feed(one, Buffer.from('abc'), 0, 3);
  one?.drop();
  await turn();
  expect([begun, mirrors.heldBytes]).toEqual([[], 0]);
});

test('what is not let in does not leave, though it is complete', async () => {
  const { begun, copy } = setUp();
  const one = copy();
  one?.take(Buffer.from('abc'), 0, 3);
  one?.complete('');
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
  const one = copy();
  feed(one, Buffer.from('abc'), 0, 3);
  one?.complete('');
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
