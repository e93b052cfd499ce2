/**
 * How many calls one caller may make, those that read and those that change something apart: so that a script that has lost its
 * way neither keeps this thread busy nor keeps others from calling. Who shows a token is known by it, and else by the address.
 */
import type { AdminSettings } from '../../config/settings.ts';
import { ProblemError } from './problem.ts';

/** What may come at once: what may come in so many seconds. */
const BURST_SECONDS = 10;
const MOST_CALLERS = 4096;

type Rates = AdminSettings['rates'];

interface Bucket {
  left: number;
  atMs: number;
}

export interface CallRatesOptions {
  /** Those in force. */
  readonly rates: () => Rates;
  /** In ms; never goes back. */
  readonly now?: () => number;
}

export class CallRates {
  readonly #rates: () => Rates;
  readonly #now: () => number;
  /** The one that was heard of longest ago first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor({ rates, now = () => performance.now() }: CallRatesOptions) {
    this.#rates = rates;
    this.#now = now;
  }

  /** @throws ProblemError 429 */
  take(caller: string, isChange: boolean): void {
    const rates = this.#rates();
    if (rates === null) return;
    const perSecond = isChange ? rates.writes : rates.reads;
    const most = perSecond * BURST_SECONDS;
    const key = `${isChange ? 'write' : 'read'} ${caller}`;
    const now = this.#now();
    const bucket = this.#buckets.get(key) ?? { left: most, atMs: now };
    bucket.left = Math.min(most, bucket.left + ((now - bucket.atMs) / 1000) * perSecond);
    bucket.atMs = now;
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    this.#forgetOldest();
    if (bucket.left >= 1) {
      bucket.left--;
      return;
    }
    const seconds = Math.max(1, Math.ceil((1 - bucket.left) / perSecond));
    throw new ProblemError(
      429,
      'ERR_TOO_MANY_CALLS',
      `More than ${perSecond} calls a second that ${isChange ? 'change something' : 'read'}.`,
      {
        hint: 'admin.rate_limit of the config sets how many there may be',
        headers: { 'Retry-After': String(seconds) },
      },
    );
  }

  #forgetOldest(): void {
    if (this.#buckets.size <= MOST_CALLERS) return;
    for (const oldest of this.#buckets.keys()) {
      this.#buckets.delete(oldest);
      return;
    }
  }
}
