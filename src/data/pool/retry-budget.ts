/**
 * What keeps retries from making an outage worse: they may be a share of the requests of the last ten seconds, and a small
 * reserve beside it, so that a proxy with little traffic can retry at all. The idea is that of Finagle's RetryBudget
 * (`com.twitter.finagle.service.RetryBudget`); decision 0009 says why it counts over time and not what is active.
 *
 * One per data thread: the budget of the process is their sum.
 */

const WINDOW_SECONDS = 10;
/** Retries of the whole process within the window that need no requests to pay for them. */
const RESERVE = 30;
/** Of each thread, however many there are. */
const LEAST_RESERVE = 3;

export class RetryBudget {
  readonly #reserve: number;
  readonly #now: () => number;
  /** By second, in turns. */
  readonly #requests = new Float64Array(WINDOW_SECONDS);
  readonly #retries = new Float64Array(WINDOW_SECONDS);
  #second: number;
  #slot = 0;

  /** @param now milliseconds on a monotonic clock; a coarse one will do. */
  constructor(threadCount: number, now: () => number) {
    this.#reserve = Math.max(LEAST_RESERVE, RESERVE / threadCount);
    this.#now = now;
    this.#second = Math.floor(now() / 1000);
  }

  /** A request came. */
  deposit(): void {
    (this.#requests[this.#slot] as number)++;
  }

  /** Whether there is a retry left. */
  has(percent: number): boolean {
    this.advance();
    let requests = 0;
    let retries = 0;
    for (let slot = 0; slot < WINDOW_SECONDS; slot++) {
      requests += this.#requests[slot] as number;
      retries += this.#retries[slot] as number;
    }
    return percent !== 0 && retries < this.#reserve + (requests * percent) / 100;
  }

  /** Takes one. */
  withdraw(): void {
    (this.#retries[this.#slot] as number)++;
  }

  /** Moves on to the current second; called by the thread's tick. */
  advance(): void {
    const second = Math.floor(this.#now() / 1000);
    const steps = Math.min(second - this.#second, WINDOW_SECONDS);
    this.#second = second;
    for (let step = 0; step < steps; step++) {
      this.#slot = (this.#slot + 1) % WINDOW_SECONDS;
      this.#requests[this.#slot] = 0;
      this.#retries[this.#slot] = 0;
    }
  }
}
