/**
 * The contract between the planes: limits that are counted for all instances together, by an engine that only the control thread speaks to
 * (docs/decisions/0050-global-rate-limits.md). A data thread asks it for allowances, takes what it needs, and keeps the rest for
 * what comes next, in the table that all threads share.
 */
import type { RateLimit } from './policies.ts';

/** So long a request waits for the engine, before this instance decides alone. */
export const ENGINE_PATIENCE_MS = 25;

/** When a data thread decides, so that no request waits longer: its timers are late by a millisecond or two. */
export const DECIDE_AFTER_MS = ENGINE_PATIENCE_MS - 2;

/** A question that is not answered by then has got lost: the next one is asked all the same. */
export const LOST_AFTER_MS = 1000;

/** What was taken ahead and not used by then is lost: nobody may save it up. */
export const RESERVE_MS = 1000;

/** Asks for allowances of a key. Answered by `rate-answer`. */
export interface RateAskMessage {
  readonly kind: 'rate-ask';
  /** For whom it is counted, and the limit: see `RateLimiter`. */
  readonly owner: string;
  readonly limit: RateLimit;
  /** Of the client. */
  readonly key: string;
  /** Requests that wait for it; 0: only the reserve runs low. */
  readonly waiting: number;
  /** As far as this instance knows, the key is so far ahead of its rate: the engine may have lost it. */
  readonly debtMs: number;
}

export interface RateAnswerMessage {
  readonly kind: 'rate-answer';
  readonly owner: string;
  readonly limit: RateLimit;
  readonly key: string;
  /** `failed`: the engine has not answered; `down`: nor will it answer others, until `counter-engine` says so. */
  readonly outcome: 'counted' | 'failed' | 'down';
  /** For those that have waited first. */
  readonly granted: number;
  /** Until there is one more; 0: there may be more now. */
  readonly waitMs: number;
  /** See `RateAskMessage`; as it is now. */
  readonly debtMs: number;
}

/** Whether the engine is to be asked. */
export interface CounterEngineMessage {
  readonly kind: 'counter-engine';
  readonly isDown: boolean;
}

/**
 * How many allowances of a key are taken at a time: so many that a key at its limit costs few calls, so few that what other instances
 * lack meanwhile is a quarter of the burst, and a fiftieth of a second's worth of each.
 *
 * @param instances that count together
 */
export function reserveOf({ rate, perMs, burst }: RateLimit, instances: number): number {
  const perSecond = (rate * 1000) / perMs;
  return Math.max(1, Math.floor(Math.min(burst / (4 * instances), perSecond / 50)));
}
