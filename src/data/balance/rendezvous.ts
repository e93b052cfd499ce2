/**
 * Weighted rendezvous hashing: for each client an order of all backends, that nobody has to remember.
 *
 * Each pair of client and backend draws a number, and the best draw wins (Thaler and Ravishankar, IEEE/ACM ToN 6(1), 1998).
 * What a pair draws does not depend on the other backends: when one goes, its clients go to the next in their order, and
 * no other client moves; when it comes back, so do they. Maglev's table, which is more even, moves some of the others'
 * clients with every change, and each of those is a session lost.
 *
 * Weights: a draw u from (0, 1) becomes −ln(1 − u) / weight, exponentially distributed with the weight as its rate, and the
 * smallest of such is each backend's as often as its weight says (Schindelhauer and Schomaker, "Weighted distributed hash
 * tables", SPAA 2005, the logarithmic method). A weight that grows draws clients from all others and moves none between them.
 *
 * To draw for a hundred backends takes more than half a microsecond. Clients are put in SLOTS slots by their hash, therefore,
 * and the slots draw: each once, when it is first asked for after a change.
 */
import { hashText, mixed } from './hash.ts';
import type { Candidate } from './strategy.ts';

/** A power of two. Shares are off by about 1/√(slots of a backend): 4 % of its own with a hundred backends. */
const SLOTS = 65_536;

/** Of a slot that was not asked for. */
const UNKNOWN = -1;

export class Rendezvous {
  /** By slot, the index of the first in its order. */
  readonly #firsts: Int32Array = new Int32Array(SLOTS);
  #seeds: Int32Array = new Int32Array(0);
  #weights: Float64Array = new Float64Array(0);

  rebuild(eligible: readonly Candidate[]): void {
    this.#firsts.fill(UNKNOWN);
    this.#seeds = seedsOf(eligible);
    this.#weights = Float64Array.from(eligible, (candidate) => candidate.weight);
  }

  /**
   * The index of the first in a client's order; −1 when there is nobody.
   * @param hash of what ties the client to a backend.
   */
  first(hash: number): number {
    const slot = hash & (SLOTS - 1);
    let index = this.#firsts[slot] as number;
    if (index === UNKNOWN) {
      index = this.#best(slot, null);
      this.#firsts[slot] = index;
    }
    return index;
  }

  /** The same among those that are not passed over (by index: 1), in a time that grows with their number. */
  firstLeft(hash: number, isPassedOver: Uint8Array): number {
    return this.#best(hash & (SLOTS - 1), isPassedOver);
  }

  #best(slot: number, isPassedOver: Uint8Array | null): number {
    const seeds = this.#seeds;
    const weights = this.#weights;
    let best = -1;
    let bestCost = Number.POSITIVE_INFINITY;
    for (let index = 0; index < seeds.length; index++) {
      if (isPassedOver !== null && isPassedOver[index] === 1) continue;
      const draw = ((mixed(slot ^ (seeds[index] as number)) >>> 0) + 0.5) / 0x1_00_00_00_00;
      const weight = weights[index] as number;
      // −ln(1 − draw) is never below the draw itself: nearly all are out without the logarithm.
      if (draw >= bestCost * weight) continue;
      const cost = -Math.log1p(-draw) / weight;
      if (cost >= bestCost) continue;
      best = index;
      bestCost = cost;
    }
    return best;
  }
}

/** One each: two with the same seed would draw the same numbers, and the second would never win. */
function seedsOf(eligible: readonly Candidate[]): Int32Array {
  const taken = new Set<number>();
  return Int32Array.from(eligible, ({ key }) => {
    let seed = hashText(key, 0);
    while (taken.has(seed)) seed = hashText(key, seed + 1);
    taken.add(seed);
    return seed;
  });
}
