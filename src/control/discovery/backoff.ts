/** How long a source waits after a failure: a second, and twice as long after each further one in a row. */
const FIRST_MS = 1_000;
const LONGEST_MS = 10_000;
/** Many proxies shall not ask in step. */
const JITTER = 0.1;

export class Backoff {
  readonly #longestMs: number;
  readonly #random: () => number;
  #failures = 0;

  constructor(longestMs = LONGEST_MS, random: () => number = Math.random) {
    this.#longestMs = longestMs;
    this.#random = random;
  }

  /** @returns how long to wait, in ms */
  failed(): number {
    const delayMs = Math.min(this.#longestMs, FIRST_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures++;
    return jittered(delayMs, this.#random);
  }

  succeeded(): void {
    this.#failures = 0;
  }
}

/** @returns up to a tenth less, or more */
export function jittered(ms: number, random: () => number): number {
  return ms * (1 - JITTER + 2 * JITTER * random());
}
