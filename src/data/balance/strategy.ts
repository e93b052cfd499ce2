/**
 * A balancing algorithm: one file each, all behind this interface, all run against one shared case file
 * (test/balance/strategy-cases.ts).
 */

import type { Draw } from '../../snapshot/explanation.ts';

/** What a strategy may know of a backend. */
export interface Candidate {
  readonly id: number;
  /** The same after every restart, another for each backend of a pool: what a strategy that hashes knows it by. */
  readonly key: string;
  /** A positive integer: what it counts for at the time of the rebuild. */
  readonly weight: number;
  /** Requests in flight, of all data threads together. */
  readonly inFlight: number;
  /** Its first element is `inFlight`: for a strategy that looks at all backends for one pick. Only to be read. */
  readonly inFlightCell: Int32Array;
}

/** A pick that is not made. */
export interface Preview<C> {
  /** Null only when the eligible set is empty. */
  readonly backend: C | null;
  /** How it came about; null without one. */
  readonly draw: Draw | null;
}

export interface Strategy<C extends Candidate> {
  /** The eligible set (or a weight in it) changed. Called on change only, never per request. */
  rebuild(eligible: readonly C[]): void;
  /**
   * Chooses a backend. Synchronous, allocates nothing.
   * @param key what ties a client to a backend, for the strategies that look at it: see `PoolSnapshot.hashKey`.
   * @param avoid chosen only if nothing else is left. Null on the first pick of a request, and only then: a further one (a
   * retry, a hedge, the next after one without room; maybe with nobody to avoid) takes no turn from other requests.
   * @returns null only when the eligible set is empty.
   */
  pick(key: string, avoid: readonly C[] | null): C | null;
  /** What `pick` would choose if it were called now, and how; nothing is changed by it. It may allocate. */
  preview(key: string, avoid: readonly C[] | null): Preview<C>;
  /** What a backend costs that is picked for the least; for those that compare costs. */
  costOf?(backend: C): number;
  /** A request was given to this backend. */
  onStart?(backend: C): void;
  /**
   * The wait for its answer is over: it began after `ms`, or, with `hasFailed`, the backend was to blame for there being
   * none, or a useless one. How long the rest of the answer takes is not waited for.
   */
  onFinish?(backend: C, hasFailed: boolean, ms: number): void;
  /**
   * In place of `onFinish`: nobody waits for its answer any more. It would have taken more than `ms`; 0 where that says
   * nothing.
   */
  onCalledOff?(backend: C, ms: number): void;
  /** An answer that had begun broke off `ms` after its request was sent. */
  onBrokenOff?(backend: C, ms: number): void;
}

/** What is passed in so that a strategy is deterministic in a test and exact across threads. */
export interface StrategyContext {
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** A ticket from the counter that all data threads share: 0, 1, 2, … as an unsigned 32-bit number. */
  readonly nextTurn: () => number;
  /** The ticket that `nextTurn` would give, left where it is. */
  readonly comingTurn: () => number;
  /** Milliseconds on a monotonic clock, precise. */
  readonly now: () => number;
}
