/**
 * The rate limit of single clients: GCRA, the generic cell rate algorithm (ITU-T I.371 §A.1; ATM Forum Traffic
 * Management 4.0 §4.4.2), the leaky bucket as a meter.
 *
 * Of each key one moment is kept: the theoretical arrival time, when its next request would come if it came evenly. A
 * request conforms when that is not further ahead than the burst allows, and moves it on by the interval of one request.
 * So in any stretch of time at most `rate × time + burst` conform, there are no windows whose edges could be used, and a
 * refused request costs the client nothing. The moment is in the table that all data threads share, and read and written
 * under its lock: the limit holds for the process.
 *
 * A key whose time has come is as good as one that was never seen, so entries expire by themselves. Where the table has
 * no room, the client that owes least is forgotten first, and may send a burst too early.
 */
import { ClientTable, NO_ENTRY } from '../../snapshot/client-table.ts';
import type { RateLimit } from '../../snapshot/policies.ts';
import { hashText } from '../balance/hash.ts';

// The theoretical arrival time, since the table's epoch.
const V_SECONDS = 0;
const V_NANOSECONDS = 1;
/** So many values of an entry it takes, from the first on. */
export const V_ARRIVAL_CELLS = 2;

const SECOND_NS = 1e9;
const MS_NS = 1e6;

/** A wait that is told in milliseconds and then kept may be rounded to one less. */
const TOLERANCE_NS = 1;

/** A burst that would take longer than six years to come back is cut to what comes back by then: the table counts no further. */
const MOST_BURST_NS = 6 * 365 * 86_400 * SECOND_NS;

export class RateLimiter {
  readonly limit: RateLimit;
  /** Of the hashes of keys. What was kept under another limit, or for somebody else, says nothing about this one, and is not found. */
  readonly seedA: number;
  readonly seedB: number;
  readonly #table: ClientTable;
  /**
   * Between two requests that come evenly. Whole, so that sums of it are exact however many there are: at a million requests
   * a second that is off by 1/2000 at most.
   */
  readonly #intervalNs: number;
  /** How far ahead the theoretical arrival time of a request that conforms may be. */
  readonly #burstNs: number;
  readonly #onEvicted: () => void;

  /**
   * @param owner for whom it is counted: under another name, nobody has used anything.
   * @param memory of the table, which all pools share.
   * @param instances that share the limit, each of which allows its part, and one request at least.
   * @param onEvicted a client was forgotten before its time, for want of room.
   */
  constructor(
    limit: RateLimit,
    owner: string,
    memory: SharedArrayBuffer,
    instances: number,
    onEvicted: () => void,
  ) {
    this.limit = limit;
    this.#onEvicted = onEvicted;
    this.#table = new ClientTable(memory);
    const text = `${owner} ${JSON.stringify(limit)}`;
    this.seedA = hashText(text, this.#table.seedA);
    this.seedB = hashText(text, this.#table.seedB);
    this.#intervalNs = Math.max(1, Math.round((limit.perMs * MS_NS * instances) / limit.rate));
    const burst = Math.max(1, Math.floor(limit.burst / instances));
    this.#burstNs = Math.min((burst - 1) * this.#intervalNs, MOST_BURST_NS);
  }

  /**
   * One more request of this key.
   * @param nowMs on the process clock (snapshot/process-clock.ts), precise.
   * @returns 0 when it conforms, else after how many milliseconds it would.
   */
  take(key: string, nowMs: number): number {
    const table = this.#table;
    const entry = table.acquire(hashText(key, this.seedA), hashText(key, this.seedB), nowMs);
    // All entries of this table expire, so there always is one.
    if (entry === NO_ENTRY) return 0;
    const { hasEvicted } = table;
    const waitNs = this.#takeFrom(entry, nowMs - table.epochMs, true);
    table.release();
    if (hasEvicted) this.#onEvicted();
    return waitNs / MS_NS;
  }

  /** What `take` would answer. */
  foresee(key: string, nowMs: number): number {
    const table = this.#table;
    const entry = table.find(hashText(key, this.seedA), hashText(key, this.seedB), nowMs);
    if (entry === NO_ENTRY) return 0;
    const waitNs = this.#takeFrom(entry, nowMs - table.epochMs, false);
    table.release();
    return waitNs / MS_NS;
  }

  #takeFrom(entry: number, sinceEpochMs: number, isTaken: boolean): number {
    const table = this.#table;
    // From the start of this second on: whole nanoseconds, small enough for a float to be exact.
    const second = Math.floor(sinceEpochMs / 1_000);
    const nowNs = Math.round((sinceEpochMs - second * 1_000) * MS_NS);
    let arrivalNs = nowNs;
    if (!table.isNew) {
      const keptNs =
        (table.get(entry, V_SECONDS) - second) * SECOND_NS + table.get(entry, V_NANOSECONDS);
      arrivalNs = Math.max(keptNs, nowNs);
    }
    const waitNs = arrivalNs - nowNs - this.#burstNs;
    if (waitNs > TOLERANCE_NS) return waitNs;
    if (!isTaken) return 0;
    const nextNs = arrivalNs + this.#intervalNs;
    set(table, entry, second, nextNs);
    table.keepUntil(entry, table.epochMs + second * 1_000 + nextNs / MS_NS);
    return 0;
  }
}

/** The theoretical arrival time that an entry has; that of a new one is past. On the process clock. */
export function arrivalMs(table: ClientTable, entry: number): number {
  const sinceMs = table.get(entry, V_SECONDS) * 1_000 + table.get(entry, V_NANOSECONDS) / MS_NS;
  return table.epochMs + sinceMs;
}

/** @param atMs on the process clock. */
export function setArrival(table: ClientTable, entry: number, atMs: number): void {
  const sinceEpochMs = Math.min(atMs - table.epochMs, MOST_BURST_NS / MS_NS);
  const second = Math.floor(sinceEpochMs / 1_000);
  set(table, entry, second, Math.round((sinceEpochMs - second * 1_000) * MS_NS));
}

/** @param ns whole, after the start of that second. */
function set(table: ClientTable, entry: number, second: number, ns: number): void {
  const seconds = Math.floor(ns / SECOND_NS);
  table.set(entry, V_SECONDS, second + seconds);
  table.set(entry, V_NANOSECONDS, ns - seconds * SECOND_NS);
}

/**
 * What a refused client is told, as field lines: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers)
 * and `Retry-After` (RFC 9110 §10.2.3). All of them know whole seconds only: a wait is rounded up, and of a window that is
 * none the quota is told for the next whole second, rounded down.
 */
export function rateLimitFields(limit: RateLimit, retryAfterMs: number): string {
  const windowSeconds = Math.ceil(limit.perMs / 1_000);
  const quota = Math.floor((limit.rate * windowSeconds * 1_000) / limit.perMs);
  const seconds = Math.max(1, Math.ceil(retryAfterMs / 1_000));
  return `RateLimit-Policy: "default";q=${quota};w=${windowSeconds}\r\nRateLimit: "default";r=0;t=${seconds}\r\nRetry-After: ${seconds}\r\n`;
}
