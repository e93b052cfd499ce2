/**
 * Requests that wait for a backend with room, in the order in which they came.
 *
 * Each data thread has its own queue; how many wait is counted for all threads together. A backend's room is counted in
 * shared memory, so a request that ends in one thread may make room for one that waits in another: the queue is asked when
 * a request of its own thread ends, and every few milliseconds while anybody waits. A thread with many requests would take
 * the room that it makes again and again: while others wait elsewhere, it leaves it to them twice as often as their share of
 * those who wait.
 */
import type { PoolCounters } from '../../snapshot/pool-counters.ts';
import type { Victim } from '../barrier.ts';
import type { Deadline, Deadlines, Waiting } from '../deadlines.ts';

export interface Waiter extends Victim {
  /** Tries again. @returns false when there is still no room; it keeps its place then. */
  tryStart(): boolean;
  /** It can't go to every backend, so that there may be room for those behind it. Does not change while it waits. */
  readonly isPicky: boolean;
}

const POLL_MS = 2;
/** For so many of its polls a thread leaves the room that it has made to the others. */
const POLLS_LEFT_OUT = 1;

export class RequestQueue implements Waiting {
  readonly #counters: PoolCounters;
  readonly #deadlines: Deadlines;
  /** In order of arrival. A set: whoever leaves early leaves from the middle. */
  readonly #waiting = new Set<Waiter>();
  /** Of those, the ones that others must not overtake. */
  #inLine = 0;
  readonly #random: () => number;
  #pollsLeftOut = 0;
  /** Since it last left room to others, this thread has looked for room itself. */
  #hasLooked = true;
  /** The next look, while anybody waits. */
  #poll: Deadline | null = null;
  #isAwake = false;

  /** @param random uniform in [0, 1). */
  constructor(counters: PoolCounters, deadlines: Deadlines, random: () => number) {
    this.#counters = counters;
    this.#deadlines = deadlines;
    this.#random = random;
  }

  /** A request that has just come must not overtake those who wait, here or in another thread. */
  get hasLine(): boolean {
    return this.#counters.inLine > 0;
  }

  /** Takes a place; false when `limit` requests wait already, in all threads together. */
  enter(waiter: Waiter, limit: number): boolean {
    if (!this.#counters.tryEnqueue(limit, !waiter.isPicky)) return false;
    this.#waiting.add(waiter);
    if (!waiter.isPicky) this.#inLine++;
    if (this.#poll === null) this.#lookLater();
    return true;
  }

  /** Gives the place up, for whatever reason. Called once for each that entered. */
  leave(waiter: Waiter, waitedMs: number): void {
    if (!this.#waiting.delete(waiter)) return;
    if (!waiter.isPicky) this.#inLine--;
    this.#counters.dequeued(waitedMs / 1000, !waiter.isPicky);
    if (this.#waiting.size > 0 || this.#poll === null) return;
    this.#deadlines.callOff(this.#poll);
    this.#poll = null;
  }

  /** A request of this thread has left its backend: there is room. */
  roomMade(): void {
    if (this.#waiting.size === 0 || this.#isAwake) return;
    const all = this.#counters.inLine;
    const elsewhere = all - this.#inLine;
    if (elsewhere > 0 && this.#random() * all < 2 * elsewhere) {
      // Not longer for every further request that ends meanwhile: two threads would wait for each other.
      if (this.#hasLooked) this.#pollsLeftOut = POLLS_LEFT_OUT;
      this.#hasLooked = false;
      return;
    }
    this.#isAwake = true;
    setImmediate(() => {
      this.#isAwake = false;
      this.#startWaiting();
    });
  }

  #lookLater(): void {
    this.#poll = this.#deadlines.set(this.#deadlines.now() + POLL_MS, this);
  }

  onDue(): void {
    // Called off again when those who start leave nobody behind.
    this.#lookLater();
    if (this.#pollsLeftOut > 0) this.#pollsLeftOut--;
    else this.#startWaiting();
  }

  /** The first ones go, as far as there is room; those behind must not overtake them. */
  #startWaiting(): void {
    this.#hasLooked = true;
    this.#pollsLeftOut = 0;
    for (const waiter of this.#waiting) if (!start(waiter) && !waiter.isPicky) break;
  }
}

function start(waiter: Waiter): boolean {
  try {
    return waiter.tryStart();
  } catch (error) {
    waiter.onCrashed(error);
    return true;
  }
}
