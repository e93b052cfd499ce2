/**
 * Everything of a data thread that happens when its time has come, on one timer.
 *
 * Nothing is called late before what has arrived was read, and the time in which the thread did not run counts for nobody:
 * see awake-clock.ts. Two sizes of deadlines:
 *
 * - What most connections have and few reach (heads, silence, connects, the queue) stands as a number where it belongs, and
 *   is compared at each tick of 100 ms. Setting one costs an assignment.
 * - What happens in milliseconds (a pause before the next attempt, a hedge, a look at the queue) stands in a heap.
 */
import { performance } from 'node:perf_hooks';
import { AwakeClock } from '../snapshot/awake-clock.ts';

/** Deadlines that stand with their owner are late by twice as much at most, on an idle machine, and never early. */
const TICK_MS = 100;

/** So many that were called off may lie in the heap before it is cleared of them. */
const MAX_CALLED_OFF = 1024;

export interface Waiting {
  onDue(): void;
  /** An exception came out of `onDue`: see barrier.ts. Without it the thread itself is told. */
  onCrashed?(error: unknown): void;
}

/** Whoever waits for one moment. */
export class Deadline {
  readonly dueMs: number;
  /** Null: called off. */
  waiting: Waiting | null;

  constructor(dueMs: number, waiting: Waiting) {
    this.dueMs = dueMs;
    this.waiting = waiting;
  }
}

export class Deadlines {
  /**
   * Milliseconds on the awake clock, coarse: the latest that it can be before the next look. A deadline that is set by it
   * never comes early. Too coarse for latencies.
   */
  nowMs: number;

  readonly #clock = new AwakeClock();
  readonly #realNow: () => number;
  readonly #onException: (error: unknown) => void;
  /** The earliest first: each is due no later than the two at twice its index and one and two more. */
  readonly #heap: Deadline[] = [];
  #calledOff = 0;
  #onTick: ((nowMs: number) => void) | null = null;
  #nextTickMs = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  /** What the timer is set for; −Infinity while a look is to come. */
  #timerMs = Number.POSITIVE_INFINITY;
  /** What is due by then is looked for: what had arrived by then has been read. */
  #lookMs = 0;
  #isStopped = false;
  readonly #wakeUp = (): void => this.#noteTime();
  readonly #lookLater = (): void => this.#look();

  /**
   * @param realNow milliseconds on a monotonic clock, precise.
   * @param onException told of what comes out of an `onDue` whose owner does not care for it.
   */
  constructor(realNow = (): number => performance.now(), onException = rethrow) {
    this.#realNow = realNow;
    this.#onException = onException;
    this.#clock.awake(realNow(), TICK_MS);
    this.nowMs = this.#clock.limitMs;
  }

  /** Milliseconds on the awake clock, precise. */
  now(): number {
    return this.#clock.at(this.#realNow());
  }

  /** What the awake clock shows. @param realMs `performance.now()`, just read */
  at(realMs: number): number {
    return this.#clock.at(realMs);
  }

  /** Calls `onTick` every 100 ms. */
  start(onTick: (nowMs: number) => void): void {
    this.#onTick = onTick;
    this.#nextTickMs = this.now() + TICK_MS;
    this.#arm();
  }

  /** Nothing is called any more. */
  stop(): void {
    this.#isStopped = true;
    this.#heap.length = 0;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** Calls `waiting` once, at this time on the awake clock. */
  set(dueMs: number, waiting: Waiting): Deadline {
    const deadline = new Deadline(dueMs, waiting);
    if (this.#isStopped) return deadline;
    this.#push(deadline);
    if (dueMs < this.#timerMs) this.#arm();
    return deadline;
  }

  callOff(deadline: Deadline): void {
    if (deadline.waiting === null) return;
    deadline.waiting = null;
    if (++this.#calledOff <= MAX_CALLED_OFF || this.#calledOff * 2 < this.#heap.length) return;
    this.#calledOff = 0;
    const left = this.#heap.filter(({ waiting }) => waiting !== null);
    // What is sorted is a heap.
    left.sort((one, other) => one.dueMs - other.dueMs);
    this.#heap.length = 0;
    for (const one of left) this.#heap.push(one);
  }

  // ── The timer ───────────────────────────────────────────────────────────────────────────────────────────────────

  #arm(): void {
    if (this.#isStopped) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerMs = Math.min(this.#nextTickMs, this.#heap[0]?.dueMs ?? Number.POSITIVE_INFINITY);
    this.#timer = null;
    if (this.#timerMs === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(this.#wakeUp, Math.max(1, Math.ceil(this.#timerMs - this.now())));
  }

  #noteTime(): void {
    this.#timer = null;
    this.#timerMs = Number.NEGATIVE_INFINITY;
    this.#lookMs = this.#clock.awake(this.#realNow(), TICK_MS);
    this.nowMs = this.#clock.limitMs;
    setImmediate(this.#lookLater);
  }

  #look(): void {
    if (this.#isStopped) return;
    const nowMs = this.#lookMs;
    try {
      if (nowMs >= this.#nextTickMs) {
        this.#nextTickMs = nowMs + TICK_MS;
        this.#onTick?.(nowMs);
      }
      for (;;) {
        const first = this.#heap[0];
        if (first === undefined || first.dueMs > nowMs) break;
        this.#pop();
        const { waiting } = first;
        first.waiting = null;
        if (waiting === null) this.#calledOff--;
        else this.#call(waiting);
      }
    } finally {
      this.#arm();
    }
  }

  #call(waiting: Waiting): void {
    try {
      waiting.onDue();
    } catch (error) {
      if (waiting.onCrashed === undefined) this.#onException(error);
      else waiting.onCrashed(error);
    }
  }

  // ── The heap ────────────────────────────────────────────────────────────────────────────────────────────────────

  #push(deadline: Deadline): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(deadline);
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex] as Deadline;
      if (parent.dueMs <= deadline.dueMs) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = deadline;
  }

  /** Takes the first one out. */
  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Deadline;
    const { length } = heap;
    if (length === 0) return;
    let index = 0;
    for (;;) {
      let childIndex = 2 * index + 1;
      if (childIndex >= length) break;
      let child = heap[childIndex] as Deadline;
      const other = heap[childIndex + 1];
      if (other !== undefined && other.dueMs < child.dueMs) {
        child = other;
        childIndex++;
      }
      if (child.dueMs >= last.dueMs) break;
      heap[index] = child;
      index = childIndex;
    }
    heap[index] = last;
  }
}

function rethrow(error: unknown): void {
  throw error;
}
