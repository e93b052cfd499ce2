/**
 * The rate limit of single clients where all instances count together: an engine counts, which the control thread asks
 * (rate-asks.ts). What it has allowed ahead is in a table that all data threads share, so most requests take from there and wait for
 * nobody. A request that finds nothing there waits for the engine; where that is silent or gone, this instance decides alone.
 *
 * Of each key an entry has what is reserved, until when nothing is to be had, and the theoretical arrival time as far as this instance
 * knows it (rate-limit.ts): where the engine is gone, its part of the limit is counted on from there, so that nobody
 * has a burst for it; and an engine that comes back empty is told.
 */
import { ClientTable, NO_ENTRY } from '../../snapshot/client-table.ts';
import { RESERVE_MS, reserveOf } from '../../snapshot/counter-engine.ts';
import type { RateLimit } from '../../snapshot/policies.ts';
import { hashText } from '../balance/hash.ts';
import type { AskingLimiter, Counted, RateAsks } from './rate-asks.ts';
import { arrivalMs, RateLimiter, setArrival, V_ARRIVAL_CELLS } from './rate-limit.ts';

/** What `take` answers beside a wait: the engine has to be asked, by `RateAsks.wait`. */
export const ASK_ENGINE = Number.POSITIVE_INFINITY;
/** There is no engine, and without it nobody may come (`on_engine_down: closed`). */
export const NOT_COUNTED = Number.MAX_VALUE;

// Behind the arrival time. Moments are whole ms since the table's epoch, cut to 32 bits, and come again after 49.7 days: they are looked
// at for as long only as they may be ahead, and 0, which a new entry has, is none.
const V_RESERVED = V_ARRIVAL_CELLS;
const V_RESERVED_UNTIL = V_ARRIVAL_CELLS + 1;
const V_REFUSED_UNTIL = V_ARRIVAL_CELLS + 2;
const V_ASKED_UNTIL = V_ARRIVAL_CELLS + 3;

/** An answer that says no holds for so long at most: then the engine is asked again. */
const MOST_REFUSED_MS = 60_000;
/** A thread has asked for more: the others leave it to that one. */
const ASKED_MS = 50;

export interface GlobalRateLimiterParts {
  readonly limit: RateLimit;
  /** As in `RateLimiter`. */
  readonly owner: string;
  readonly instances: number;
  /** Of the table. */
  readonly memory: SharedArrayBuffer;
  readonly asks: RateAsks;
  readonly onEvicted: () => void;
  /** A request was decided about without the engine. */
  readonly onAlone: () => void;
}

export class GlobalRateLimiter implements AskingLimiter {
  readonly limit: RateLimit;
  readonly owner: string;
  readonly id: string;
  readonly #table: ClientTable;
  /** Of this instance alone: on the same table, with the same keys. */
  readonly #alone: RateLimiter;
  readonly #asks: RateAsks;
  readonly #onEvicted: () => void;
  readonly #onAlone: () => void;
  /** With so much left, more is asked for ahead; -1: never. */
  readonly #lowWater: number;
  /** Longer than until there is one: so that refusals of a key at its limit cost as few calls as what it is allowed. */
  readonly #refusedForMs: number;

  constructor(parts: GlobalRateLimiterParts) {
    const { limit, owner, instances, memory, asks, onEvicted, onAlone } = parts;
    this.limit = limit;
    this.owner = owner;
    this.#asks = asks;
    this.#onEvicted = onEvicted;
    this.#onAlone = onAlone;
    this.#table = new ClientTable(memory);
    this.#alone = new RateLimiter(limit, owner, memory, instances, onEvicted);
    this.id = `${owner} ${JSON.stringify(limit)}`;
    const reserve = reserveOf(limit, instances);
    this.#lowWater = reserve < 4 ? -1 : Math.floor(reserve / 4);
    this.#refusedForMs = ((reserve - 1) * limit.perMs) / limit.rate;
  }

  /**
   * One more request of this key.
   * @returns as `RateLimiter.take`, or `ASK_ENGINE`, or `NOT_COUNTED`.
   */
  take(key: string, nowMs: number): number {
    if (this.#asks.isEngineDown) return this.takeAlone(key, nowMs);
    const table = this.#table;
    const entry = this.#acquire(key, nowMs);
    if (entry === NO_ENTRY) return ASK_ENGINE;
    const reserved = this.#reserved(entry, nowMs);
    if (reserved === 0) {
      const waitMs = this.#ahead(entry, V_REFUSED_UNTIL, nowMs, MOST_REFUSED_MS);
      table.release();
      return waitMs === 0 ? ASK_ENGINE : waitMs;
    }
    table.set(entry, V_RESERVED, reserved - 1);
    const isLow =
      reserved - 1 <= this.#lowWater &&
      this.#ahead(entry, V_ASKED_UNTIL, nowMs, ASKED_MS) === 0 &&
      this.#ahead(entry, V_REFUSED_UNTIL, nowMs, MOST_REFUSED_MS) === 0;
    if (isLow) table.set(entry, V_ASKED_UNTIL, this.#moment(nowMs + ASKED_MS));
    table.release();
    if (isLow) this.#asks.askAhead(this, key);
    return 0;
  }

  /** What `take` would answer; 0 where the engine would have to be asked. */
  foresee(key: string, nowMs: number): number {
    if (this.#asks.isEngineDown) {
      const mode = this.limit.onEngineDown;
      if (mode === 'open') return 0;
      return mode === 'closed' ? NOT_COUNTED : this.#alone.foresee(key, nowMs);
    }
    const { seedA, seedB } = this.#alone;
    const entry = this.#table.find(hashText(key, seedA), hashText(key, seedB), nowMs);
    if (entry === NO_ENTRY) return 0;
    const isFree = this.#reserved(entry, nowMs) > 0;
    const waitMs = isFree ? 0 : this.#ahead(entry, V_REFUSED_UNTIL, nowMs, MOST_REFUSED_MS);
    this.#table.release();
    return waitMs;
  }

  /** The same as `take`, of this instance's part, and never `ASK_ENGINE`. */
  takeAlone(key: string, nowMs: number): number {
    this.#onAlone();
    switch (this.limit.onEngineDown) {
      case 'open':
        return 0;
      case 'closed':
        return NOT_COUNTED;
      default:
        return this.#alone.take(key, nowMs);
    }
  }

  /** How far ahead of its rate a key is, as far as is known here. */
  debtMs(key: string, nowMs: number): number {
    const { seedA, seedB } = this.#alone;
    const table = this.#table;
    const entry = table.find(hashText(key, seedA), hashText(key, seedB), nowMs);
    if (entry === NO_ENTRY) return 0;
    const debtMs = arrivalMs(table, entry) - nowMs;
    table.release();
    return Math.max(0, debtMs);
  }

  /** The engine has answered. */
  note(key: string, { left, waitMs, debtMs }: Counted, nowMs: number): void {
    const table = this.#table;
    const entry = this.#acquire(key, nowMs);
    if (entry === NO_ENTRY) return;
    const reserved = left + this.#reserved(entry, nowMs);
    table.set(entry, V_RESERVED, reserved);
    if (left > 0) table.set(entry, V_RESERVED_UNTIL, this.#moment(nowMs + RESERVE_MS));
    const refusedMs = waitMs === 0 ? 0 : Math.min(waitMs + this.#refusedForMs, MOST_REFUSED_MS);
    table.set(entry, V_REFUSED_UNTIL, this.#moment(nowMs + refusedMs));
    table.set(entry, V_ASKED_UNTIL, this.#moment(nowMs));
    setArrival(table, entry, nowMs + debtMs);
    table.keepUntil(entry, nowMs + Math.max(debtMs, refusedMs, reserved > 0 ? RESERVE_MS : 0));
    table.release();
  }

  /** Locks the bucket. */
  #acquire(key: string, nowMs: number): number {
    const { seedA, seedB } = this.#alone;
    const table = this.#table;
    const entry = table.acquire(hashText(key, seedA), hashText(key, seedB), nowMs);
    if (entry !== NO_ENTRY && table.hasEvicted) this.#onEvicted();
    return entry;
  }

  #reserved(entry: number, nowMs: number): number {
    const reserved = this.#table.get(entry, V_RESERVED);
    if (reserved <= 0) return 0;
    return this.#ahead(entry, V_RESERVED_UNTIL, nowMs, RESERVE_MS) > 0 ? reserved : 0;
  }

  /** Milliseconds until then; 0: it is over, or was never. */
  #ahead(entry: number, value: number, nowMs: number, mostMs: number): number {
    const until = this.#table.get(entry, value);
    if (until === 0) return 0;
    const ms = (until - this.#moment(nowMs)) | 0;
    return ms > 0 && ms <= mostMs + 1 ? ms : 0;
  }

  #moment(atMs: number): number {
    const moment = Math.ceil(atMs - this.#table.epochMs) | 0;
    return moment === 0 ? 1 : moment;
  }
}
