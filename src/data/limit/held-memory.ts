/**
 * What waits in memory because somebody does not take it: answers for clients that read slowly, bodies for backends that do,
 * the bytes of tunnels, pipelined requests, parts of heads. Each connection holds a few hundred KiB at most, and ten thousand
 * of them hold gigabytes: so there is a limit over all of them and all threads (`limits.buffered`).
 *
 * Nothing is counted per write. At each tick the connections say what they hold; in between, each that has to be paused adds
 * to an estimate, and past a part of the limit they are weighed at once. Above the limit, the thread that holds the most cuts
 * the connection that holds the most, and so on until it is kept again.
 */
import type { PostToControl } from '../../snapshot/messages.ts';
import type { ProcessCounters } from '../../snapshot/process-counters.ts';
import { guarded, type Victim } from '../barrier.ts';

export interface Holder extends Victim {
  /** Bytes that wait in memory for this client, or because of it. */
  readonly heldBytes: number;
  /** Closes the connection: what it holds is free. */
  cutForMemory(): void;
}

const KIB = 1024;

/** What a connection holds that has to be paused, about: a write that waits, and a read. */
const PAUSED_BYTES = 256 * KIB;
/** By so much of the limit the estimate may grow before all are weighed again. */
const ESTIMATED_SHARE = 1 / 32;
/** Cut down to this share of the limit: each cut weighs all connections. */
const KEPT_SHARE = 15 / 16;
const LOG_EVERY_MS = 60_000;

export class HeldMemory {
  readonly #counters: ProcessCounters;
  readonly #post: PostToControl;
  readonly #threadCount: number;
  readonly #now: () => number;
  #holders: () => Iterable<Holder> = () => [];
  /** 0: none. */
  #limitBytes = 0;
  /** Since all were weighed. */
  #pauses = 0;
  #maxPauses = Number.POSITIVE_INFINITY;
  #isWeighingSoon = false;
  #unlogged = 0;
  #nextLogMs = 0;
  readonly #weighSoon = (): void => {
    this.#isWeighingSoon = false;
    this.weigh();
  };

  /** @param now milliseconds on a monotonic clock. */
  constructor(
    counters: ProcessCounters,
    threadCount: number,
    post: PostToControl,
    now = (): number => performance.now(),
  ) {
    this.#counters = counters;
    this.#threadCount = threadCount;
    this.#post = post;
    this.#now = now;
  }

  /** @param holders those of this thread; asked for at each weighing. */
  watch(holders: () => Iterable<Holder>): void {
    this.#holders = holders;
  }

  setLimit(bytes: number): void {
    this.#limitBytes = bytes;
    this.#maxPauses =
      bytes === 0 ? Number.POSITIVE_INFINITY : (bytes * ESTIMATED_SHARE) / PAUSED_BYTES;
  }

  /** A connection has to be paused because the other side does not take what it sends. */
  paused(): void {
    if (++this.#pauses <= this.#maxPauses || this.#isWeighingSoon) return;
    this.#isWeighingSoon = true;
    // Right after the callback of this one: a round of the event loop may bring many more.
    process.nextTick(this.#weighSoon);
  }

  weigh(): void {
    this.#pauses = 0;
    let held = 0;
    for (const holder of this.#holders()) held += holder.heldBytes;
    // As it is counted: one that holds all there is holds no less than that.
    held = Math.ceil(held / KIB) * KIB;
    const total = this.#counters.holds(held);
    const isOurs = held * this.#threadCount >= total;
    if (this.#limitBytes !== 0 && total > this.#limitBytes && isOurs) this.#cut(held);
    if (this.#unlogged > 0) this.#log();
  }

  /** @param held in this thread. */
  #cut(held: number): void {
    const largestFirst = Array.from(this.#holders(), (holder) => ({
      holder,
      bytes: holder.heldBytes,
    })).toSorted((one, other) => other.bytes - one.bytes);
    let left = held;
    for (const { holder, bytes } of largestFirst) {
      if (bytes === 0) break;
      guarded(holder, () => holder.cutForMemory());
      this.#unlogged++;
      left -= bytes;
      if (this.#counters.holds(left) <= this.#limitBytes * KEPT_SHARE) break;
    }
  }

  #log(): void {
    const nowMs = this.#now();
    if (nowMs < this.#nextLogMs) return;
    this.#nextLogMs = nowMs + LOG_EVERY_MS;
    const log = {
      warn: (event: string, message: string): void =>
        this.#post({ kind: 'log', level: 'warn', event, message, fields: { cut: this.#unlogged } }),
    };
    log.warn(
      'memory.limited',
      `more than ${this.#limitBytes} bytes wait for clients and backends that do not take them (limits.buffered): the connections that hold the most are cut`,
    );
    this.#unlogged = 0;
  }
}
