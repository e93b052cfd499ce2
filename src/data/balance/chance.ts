/**
 * Chance for picks: whole numbers, without an allocation.
 *
 * The source of chance is asked once, and a generator of whole numbers goes on from there (Marsaglia, "Xorshift RNGs",
 * 2003): a float that a call returns is an allocation.
 */

/** The numbers of the generator that `below` makes use of: more would not be exact. */
export const CHANCE_RANGE = 0x1_00_00_00;

export class Chance {
  /** Never 0, on which the generator would stay. */
  #state: number;

  /** @param random uniform in [0, 1). */
  constructor(random: () => number) {
    this.#state = 1 + Math.floor(random() * 0x7f_ff_ff_ff);
  }

  /** A whole number below `count`, which is at most CHANCE_RANGE. */
  below(count: number): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return Math.floor(((state >>> 8) / CHANCE_RANGE) * count);
  }

  /** What `look` draws is drawn again by whoever comes next. */
  foreseen<T>(look: () => T): T {
    const state = this.#state;
    try {
      return look();
    } finally {
      this.#state = state;
    }
  }
}
