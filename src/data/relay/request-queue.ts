/**
 * Requests that wait for a backend with room, in the order in which they came.
 *
 * Each data thread has its own queue; how many wait is counted for all threads together. A backend's room is counted in
 * shared memory, so a request that ends in one thread may make room for one that waits in another: the queue is asked when
 * a request of its own thread ends, and every few milliseconds while anybody waits.
 */
import type { ProcessCounters } from '../../snapshot/process-counters.ts';

export interface Waiter {
  /** Tries again. @returns false when there is still no room; it keeps its place then. */
  tryStart(): boolean;
}

const POLL_MS = 5;

export class RequestQueue {
  readonly #counters: ProcessCounters;
  /** In order of arrival. A set: whoever leaves early leaves from the middle. */
  readonly #waiting = new Set<Waiter>();
  #poll: NodeJS.Timeout | null = null;
  #isAwake = false;

  constructor(counters: ProcessCounters) {
    this.#counters = counters;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Takes a place; false when `limit` requests wait already, in all threads together. */
  enter(waiter: Waiter, limit: number): boolean {
    if (!this.#counters.tryEnqueue(limit)) return false;
    this.#waiting.add(waiter);
    this.#poll ??= setInterval(() => this.#startWaiting(), POLL_MS);
    return true;
  }

  /** Gives the place up, for whatever reason. Called once for each that entered. */
  leave(waiter: Waiter, waitedMs: number): void {
    if (!this.#waiting.delete(waiter)) return;
    this.#counters.dequeued(waitedMs / 1000);
    if (this.#waiting.size > 0 || this.#poll === null) return;
    clearInterval(this.#poll);
    this.#poll = null;
  }

  /** A request of this thread has ended: there may be room. */
  roomMade(): void {
    if (this.#waiting.size === 0 || this.#isAwake) return;
    this.#isAwake = true;
    setImmediate(() => {
      this.#isAwake = false;
      this.#startWaiting();
    });
  }

  /** The first ones go, as far as there is room; those behind must not overtake them. */
  #startWaiting(): void {
    for (const waiter of this.#waiting) if (!waiter.tryStart()) break;
  }
}
