import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Deadlines } from '../../src/data/deadlines.ts';
import { RequestQueue, type Waiter } from '../../src/data/pool/request-queue.ts';
import { createPoolCounters, PoolCounters } from '../../src/snapshot/pool-counters.ts';

const LIMIT = 100;

/** The queues of so many data threads; `random` is what all of them draw. */
function queuesOf(threads: number, random = 0): RequestQueue[] {
  const buffer = createPoolCounters(threads);
  return Array.from(
    { length: threads },
    (_, index) =>
      new RequestQueue(
        new PoolCounters(buffer, index, threads),
        new Deadlines(() => Date.now()),
        () => random,
      ),
  );
}

class Waiting implements Waiter {
  readonly isPicky: boolean;
  hasStarted = false;
  readonly #queue: RequestQueue;
  readonly #hasRoom: () => boolean;

  constructor(queue: RequestQueue, hasRoom: () => boolean, isPicky = false) {
    this.#queue = queue;
    this.#hasRoom = hasRoom;
    this.isPicky = isPicky;
    if (!queue.enter(this, LIMIT)) throw new Error('the queue is full');
  }

  tryStart(): boolean {
    if (!this.#hasRoom()) return false;
    this.hasStarted = true;
    this.#queue.leave(this, 0);
    return true;
  }

  onCrashed(error: unknown): void {
    throw error;
  }
}

describe('the queues of several threads', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  test('room goes to those who wait in this thread at once, when nobody waits elsewhere', () => {
    const [queue] = queuesOf(1) as [RequestQueue];
    let room = 0;
    const waiting = Array.from({ length: 3 }, () => new Waiting(queue, () => room-- > 0));
    room = 2;
    queue.roomMade();
    vi.advanceTimersByTime(0);
    expect(waiting.map(({ hasStarted }) => hasStarted)).toEqual([true, true, false]);
  });

  test('a thread leaves room to another one, and takes it when that has not', () => {
    const [queue, other] = queuesOf(2) as [RequestQueue, RequestQueue];
    let room = 0;
    const mine = new Waiting(queue, () => room > 0);
    const theirs = new Waiting(other, () => false);
    room = 1;
    queue.roomMade();
    vi.advanceTimersByTime(0);
    expect(mine.hasStarted).toBe(false);
    vi.advanceTimersByTime(10);
    expect([mine.hasStarted, theirs.hasStarted]).toEqual([true, false]);
  });

  test('two threads left all room to each other, while requests went on ending in both', () => {
    const queues = queuesOf(2);
    const waiting = queues.flatMap((queue) =>
      Array.from({ length: 10 }, () => new Waiting(queue, () => true)),
    );
    for (let ms = 0; ms < 50; ms++) {
      for (const queue of queues) queue.roomMade();
      vi.advanceTimersByTime(1);
    }
    expect(waiting.filter(({ hasStarted }) => !hasStarted)).toEqual([]);
  });

  test('retries that wait for one backend stood in line before the requests of other threads', () => {
    const [queue, other] = queuesOf(2) as [RequestQueue, RequestQueue];
    const picky = new Waiting(queue, () => false, true);
    expect([queue.hasLine, other.hasLine]).toEqual([false, false]);
    const regular = new Waiting(queue, () => false);
    expect([queue.hasLine, other.hasLine]).toEqual([true, true]);
    queue.leave(regular, 0);
    queue.leave(picky, 0);
    expect([queue.hasLine, other.hasLine]).toEqual([false, false]);
    // Nobody waits, and so nobody looks.
    vi.advanceTimersByTime(3);
    expect(vi.getTimerCount()).toBe(0);
  });
});
