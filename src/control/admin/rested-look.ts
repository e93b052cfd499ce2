/**
 * A look for those who may only read. It may be dear: a large config takes a good part of a second, one that is code is run, with
 * this thread waiting for it, and the instances of a cluster are asked one and all. So a look stands for as long as it took twenty times over: however many ask,
 * they have a twentieth of the thread.
 */
const TIMES_ITS_COST = 20;

export interface RestTerms {
  /** It stands so long at most, in ms: for a look that waits for others, and costs this thread little meanwhile. */
  readonly mostMs?: number;
  /** In ms; never goes back. */
  readonly now?: () => number;
}

interface Look<Result, Base> {
  readonly base: Base;
  readonly result: Promise<Result>;
  untilMs: number;
}

export class RestedLook<Result, Base> {
  readonly #look: (base: Base) => Result | Promise<Result>;
  readonly #now: () => number;
  readonly #mostMs: number;
  #last: Look<Result, Base> | undefined;

  constructor(look: (base: Base) => Result | Promise<Result>, terms: RestTerms = {}) {
    const { mostMs = Number.POSITIVE_INFINITY, now = () => performance.now() } = terms;
    this.#look = look;
    this.#now = now;
    this.#mostMs = mostMs;
  }

  /** @param base what the result is about: for another one the look is taken anew. */
  async take(base: Base): Promise<Result> {
    const last = this.#last;
    if (last !== undefined && last.base === base && this.#now() < last.untilMs) return last.result;
    const begunMs = this.#now();
    const result = (async () => this.#look(base))();
    const next = { base, result, untilMs: Number.POSITIVE_INFINITY };
    this.#last = next;
    try {
      return await result;
    } finally {
      const endMs = this.#now();
      next.untilMs = endMs + Math.min(this.#mostMs, TIMES_ITS_COST * (endMs - begunMs));
    }
  }
}
