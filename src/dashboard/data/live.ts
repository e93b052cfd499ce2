/** Looks at the instance once a second, and says how old that is. */
import { CallFailed, call } from './calls.ts';
import { History } from './history.ts';
import { nextTurn } from './next-turn.ts';
import { goesOn, type Rates, ratesOf } from './rates.ts';
import { type Row, Rows } from './rows.ts';
import type { Totals } from './shapes.ts';
import { Store } from './store.ts';

const EVERY_MS = 1000;
/** Data that are older than this are not shown as live. */
const STALE_MS = 3500;

export interface Look {
  readonly totals: Totals;
  readonly etag: string | undefined;
  readonly rates: Rates;
  readonly rows: ReadonlyMap<string, readonly Row[]>;
}

export interface Connection {
  readonly isLive: boolean;
  /** Clock time of the last answer; undefined: there was none. */
  readonly lastMs: number | undefined;
  readonly why: string;
}

/** Columns of the history, after the time. */
export const SERIES = {
  '2xx': 1,
  '3xx': 2,
  '4xx': 3,
  '5xx': 4,
  p50: 5,
  p95: 6,
  p99: 7,
  inFlight: 8,
  queued: 9,
} as const;

export class Live {
  readonly look = new Store<Look | undefined>(undefined);
  readonly connection = new Store<Connection>({ isLive: false, lastMs: undefined, why: '' });
  readonly history = new History(Object.keys(SERIES).length);
  #rows = new Rows();
  #timer: number | undefined;
  #running: AbortController | undefined;
  #isAsking = false;
  /** Changes that were made from here: what was asked before one is old. */
  #changes = 0;
  /** When the last answer came, by a clock that nobody sets. */
  #lastAt = 0;

  start(): void {
    this.stop();
    this.#running = new AbortController();
    void this.#ask(this.#running.signal);
    this.#timer = setInterval(() => this.#tick(), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#running?.abort();
    this.#running = undefined;
    this.#isAsking = false;
  }

  /** This tab has changed what it has seen: nobody else has in between, so the next change may rest on what this one has left. */
  changed(seen: string | undefined, left: string | undefined): void {
    this.#changes++;
    const { now } = this.look;
    if (now !== undefined && now.etag === seen) this.look.set({ ...now, etag: left });
    this.soon();
  }

  /** Something happened: it is looked at before its time. */
  soon(): void {
    if (this.#running !== undefined && performance.now() - this.#lastAt > EVERY_MS / 4) {
      void this.#ask(this.#running.signal);
    }
  }

  #tick(): void {
    this.#judge();
    if (this.#running !== undefined) void this.#ask(this.#running.signal);
  }

  /** Silence is not taken for quiet, even while a call is still waiting for its answer. */
  #judge(why = 'no answer'): void {
    const { lastMs, isLive } = this.connection.now;
    if (isLive && performance.now() - this.#lastAt > STALE_MS) {
      this.connection.set({ isLive: false, lastMs, why });
    }
  }

  async #ask(signal: AbortSignal): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const changes = this.#changes;
    const isOld = (): boolean => signal.aborted || changes !== this.#changes;
    try {
      const { body, etag } = await call<Totals>({ method: 'GET', path: 'totals' }, { signal });
      await nextTurn();
      if (isOld()) return;
      const look = this.#take(body, etag);
      await nextTurn();
      if (look !== undefined && !isOld()) this.#show(look);
    } catch (error) {
      if (signal.aborted) return;
      const why = error instanceof CallFailed ? error.message : String(error);
      this.history.gap(Date.now() / 1000);
      const { lastMs } = this.connection.now;
      this.connection.set({ isLive: false, lastMs, why });
    } finally {
      if (!signal.aborted) {
        this.#isAsking = false;
        if (isOld()) void this.#ask(signal);
      }
    }
  }

  /** Undefined: there is nothing new. */
  #take(totals: Totals, etag: string | undefined): Look | undefined {
    const nowMs = Date.now();
    const before = this.look.now?.totals;
    const isNext = before !== undefined && goesOn(before, totals);
    const was = isNext ? before : undefined;
    const seconds = was === undefined ? 0 : totals.uptime_seconds - was.uptime_seconds;
    this.#lastAt = performance.now();
    if (!isNext) this.#rows = new Rows();
    // Asked twice within one turn of the server: nothing can have been counted in between.
    if (was !== undefined && seconds <= 0.05) return undefined;
    const rates = ratesOf(was, totals);
    const rows = this.#rows.take(totals, seconds, nowMs);
    if (was !== undefined) {
      const { classes, p50, p95, p99, inFlight, queued } = rates;
      const inMs = [p50, p95, p99].map((one) => (one === null ? null : one * 1000));
      this.history.push([nowMs / 1000, ...classes, ...inMs, inFlight, queued]);
    }
    return { totals, etag, rates, rows };
  }

  #show(look: Look): void {
    this.connection.set({ isLive: true, lastMs: Date.now(), why: '' });
    this.look.set(look);
  }
}
