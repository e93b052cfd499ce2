/**
 * Draws two backends by chance, for the strategies that then take the better of the two ("the power of two choices":
 * Mitzenmacher, IEEE TPDS 12(10), 2001). The gain over one is exponential, and unlike those who all take the best that
 * they see, many pickers with the same old news do not march to the same backend.
 *
 * Each is drawn as often as its weight says, in the same time for any number of backends: the alias method (Walker, 1977;
 * the tables as in Vose, IEEE TSE 17(9), 1991). Where drawing evenly would do for equal weights, it could give no
 * backend of n more than 2/n of the requests, whatever its weight.
 */
import { CHANCE_RANGE, type Chance } from './chance.ts';

/** Up to so many backends it costs as little to look at all of them, and the best of all is better than the best of two. */
export const FULL_SCAN_MAX = 16;

export class TwoChoices {
  /** The last draw: two different indexes. As fields, since a pair that is returned would be an allocation. */
  first = 0;
  second = 0;

  readonly #chance: Chance;
  /** Of each column, how much belongs to its own index, in units of 1/CHANCE_RANGE; the rest is its alias's. */
  #own: Int32Array = new Int32Array(0);
  #alias: Int32Array = new Int32Array(0);

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  /** @param weights positive; at least two of them before the next draw. */
  rebuild(weights: Float64Array): void {
    const size = weights.length;
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    // A column's height is 1: what an index has beyond that fills up the columns of those that have less.
    const heights = weights.map((weight) => (weight * size) / total);
    const own = new Int32Array(size).fill(CHANCE_RANGE);
    const alias = Int32Array.from(weights.keys());
    const short: number[] = [];
    const tall: number[] = [];
    for (const [index, height] of heights.entries()) (height < 1 ? short : tall).push(index);
    while (short.length > 0 && tall.length > 0) {
      const low = short.pop() as number;
      const high = tall.pop() as number;
      own[low] = Math.round((heights[low] as number) * CHANCE_RANGE);
      alias[low] = high;
      heights[high] = (heights[high] as number) - (1 - (heights[low] as number));
      ((heights[high] as number) < 1 ? short : tall).push(high);
    }
    this.#own = own;
    this.#alias = alias;
  }

  /** The same one twice would be no choice: the second is any of the others then. */
  draw(): void {
    const first = this.#one();
    let second = this.#one();
    if (second === first) {
      second = this.#chance.below(this.#own.length - 1);
      if (second >= first) second++;
    }
    this.first = first;
    this.second = second;
  }

  /** What `look` draws is drawn again by whoever comes next. */
  foreseen<T>(look: () => T): T {
    return this.#chance.foreseen(look);
  }

  #one(): number {
    const column = this.#chance.below(this.#own.length);
    const isOwn = this.#chance.below(CHANCE_RANGE) < (this.#own[column] as number);
    return isOwn ? column : (this.#alias[column] as number);
  }
}
