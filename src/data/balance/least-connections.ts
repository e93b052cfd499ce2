/**
 * Weighted least connections: the backend with the fewest requests in flight per unit of weight.
 *
 * The load is the count of requests in flight of all data threads, read from shared memory at each pick. Equal loads are
 * settled by chance, so that several proxies that start together do not march in step.
 * Compared as (in flight + 1) / weight, the load after the pick: an idle backend of weight 3 goes before an idle one of
 * weight 1 (the rule of Linux IPVS "wlc" and HAProxy's leastconn).
 */
import { Chance } from './chance.ts';
import type { Candidate, Strategy, StrategyContext } from './strategy.ts';

export class LeastConnections<C extends Candidate> implements Strategy<C> {
  readonly #chance: Chance;
  #eligible: readonly C[] = [];
  /** Where their requests in flight are counted: one step less per backend than to ask each of them. */
  #cells: readonly Int32Array[] = [];
  /** As floats: their products with loads need no check for overflow. */
  #weights: Float64Array = new Float64Array(0);
  /** Within a pick: the indexes of those with the least load. */
  #least: Int32Array = new Int32Array(0);

  constructor(context: StrategyContext) {
    this.#chance = new Chance(context.random);
  }

  rebuild(eligible: readonly C[]): void {
    this.#eligible = eligible;
    this.#cells = eligible.map((candidate) => candidate.inFlightCell);
    this.#weights = Float64Array.from(eligible, (candidate) => candidate.weight);
    this.#least = new Int32Array(eligible.length);
  }

  pick(_key: string, avoid: readonly C[] | null): C | null {
    return this.#pick(avoid) ?? (avoid === null ? null : this.#pick(null));
  }

  #pick(avoid: readonly C[] | null): C | null {
    const eligible = this.#eligible;
    const cells = this.#cells;
    const weights = this.#weights;
    const least = this.#least;
    let count = 0;
    let leastLoad = Number.POSITIVE_INFINITY;
    let leastWeight = 1;
    for (let index = 0; index < eligible.length; index++) {
      if (avoid !== null && avoid.includes(eligible[index] as C)) continue;
      const load = ((cells[index] as Int32Array)[0] as number) + 1;
      const weight = weights[index] as number;
      // load / weight < leastLoad / leastWeight, without the division.
      const product = load * leastWeight;
      const leastProduct = leastLoad * weight;
      if (product > leastProduct) continue;
      if (product < leastProduct) {
        count = 0;
        leastLoad = load;
        leastWeight = weight;
      }
      least[count++] = index;
    }
    if (count === 0) return null;
    return eligible[least[count === 1 ? 0 : this.#chance.below(count)] as number] as C;
  }
}
