/**
 * Weighted least connections: the backend with the fewest requests in flight per unit of weight.
 *
 * The load is the count of requests in flight of all data threads, read from shared memory at each pick. Equal loads are
 * settled by chance, so that several proxies that start together do not march in step.
 * Compared as (in flight + 1) / weight, the load after the pick: an idle backend of weight 3 goes before an idle one of
 * weight 1 (the rule of Linux IPVS "wlc" and HAProxy's leastconn).
 *
 * Backends of one weight compare by their requests in flight alone. So they are looked at weight by weight, the heaviest
 * first: what is arithmetic is done once for a weight, and no weight is looked at whose idle backends would not do.
 */
import { Chance } from './chance.ts';
import type { Candidate, Preview, Strategy, StrategyContext } from './strategy.ts';

export class LeastConnections<C extends Candidate> implements Strategy<C> {
  readonly #chance: Chance;
  /** The heaviest first. */
  #eligible: readonly C[] = [];
  /** Where their requests in flight are counted: one step less per backend than to ask each of them. */
  #cells: readonly Int32Array[] = [];
  /** Each weight that occurs, falling. As floats: their products with loads need no check for overflow. */
  #weights: Float64Array = new Float64Array(0);
  /** By weight, up to which index backends have it. */
  #ends: Int32Array = new Int32Array(0);
  /** Within a pick: the indexes of those with the least load. */
  #least: Int32Array = new Int32Array(0);

  constructor(context: StrategyContext) {
    this.#chance = new Chance(context.random);
  }

  rebuild(eligible: readonly C[]): void {
    const sorted = eligible.toSorted((a, b) => b.weight - a.weight);
    const ends = new Map<number, number>();
    for (const [index, { weight }] of sorted.entries()) ends.set(weight, index + 1);
    this.#eligible = sorted;
    this.#cells = sorted.map((candidate) => candidate.inFlightCell);
    this.#weights = Float64Array.from(ends.keys());
    this.#ends = Int32Array.from(ends.values());
    this.#least = new Int32Array(sorted.length);
  }

  pick(_key: string, avoid: readonly C[] | null): C | null {
    return (
      this.#drawn(this.#find(avoid)) ?? (avoid === null ? null : this.#drawn(this.#find(null)))
    );
  }

  preview(key: string, avoid: readonly C[] | null): Preview<C> {
    const backend = this.#chance.foreseen(() => this.pick(key, avoid));
    if (backend === null) return { backend, draw: null };
    const count = this.#find(avoid) || this.#find(null);
    const least = Array.from(this.#least.subarray(0, count), (index) => this.#idAt(index));
    return { backend, draw: { by: 'least', least } };
  }

  costOf({ inFlight, weight }: C): number {
    return (inFlight + 1) / weight;
  }

  #idAt(index: number): number {
    return (this.#eligible[index] as C).id;
  }

  /** One of the first `count` of `#least`. */
  #drawn(count: number): C | null {
    if (count === 0) return null;
    const index = this.#least[count === 1 ? 0 : this.#chance.below(count)] as number;
    return this.#eligible[index] as C;
  }

  /** Puts the indexes of those with the least load into `#least`. @returns how many they are */
  #find(avoid: readonly C[] | null): number {
    const eligible = this.#eligible;
    const cells = this.#cells;
    const weights = this.#weights;
    const ends = this.#ends;
    const least = this.#least;
    let count = 0;
    let leastLoad = Number.POSITIVE_INFINITY;
    let leastWeight = 1;
    let index = 0;
    for (let group = 0; group < weights.length; group++) {
      const weight = weights[group] as number;
      const end = ends[group] as number;
      // So many in flight at this weight are as good as the best so far. Not whole where none can be: the quotient of two
      // whole numbers of this size is rounded to a whole one only if it is one.
      let bar = (leastLoad * weight) / leastWeight - 1;
      if (bar < 0) break;
      for (; index < end; index++) {
        const inFlight = (cells[index] as Int32Array)[0] as number;
        if (inFlight > bar) continue;
        if (avoid !== null && avoid.includes(eligible[index] as C)) continue;
        if (inFlight < bar) {
          count = 0;
          bar = inFlight;
          leastLoad = inFlight + 1;
          leastWeight = weight;
        }
        least[count++] = index;
      }
    }
    return count;
  }
}
