/**
 * How long somebody rests between pieces of work that may come in a stream: some are done one right after the other, of many each is
 * followed by a rest of so many times as long as it has taken.
 */
export interface RestTerms {
  /** Of each piece, in times of what it has taken. */
  readonly times: number;
  /** Rest that may be owed before any is taken, in ms. */
  readonly owedMs: number;
  /** The longest rest, in ms. */
  readonly longestMs: number;
}

export class Rests {
  readonly #terms: RestTerms;
  /** When all work until now would have been rested from. */
  #restedAt = 0;

  constructor(terms: RestTerms) {
    this.#terms = terms;
  }

  /** @param nowMs of a clock that never goes back. @returns the rest before the next piece, in ms */
  after(tookMs: number, nowMs: number): number {
    const { times, owedMs, longestMs } = this.#terms;
    const restedAt = Math.max(this.#restedAt, nowMs) + times * tookMs;
    this.#restedAt = Math.min(restedAt, nowMs + owedMs + longestMs);
    return Math.max(0, this.#restedAt - nowMs - owedMs);
  }
}
