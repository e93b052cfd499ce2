/**
 * Smooth weighted round robin.
 *
 * The order is that of nginx's smooth algorithm (commit 52327e0627f4, "upstream: smooth weighted round-robin
 * balancing"): each turn every candidate gains its weight, the highest goes and loses the total. Weights 5, 1, 1 give
 * a a b a c a a, never five in a row. The order repeats after sum(weights)/gcd(weights) turns, so it is worked out once
 * per change, and a pick is one lookup at a turn number that all data threads share: the proportions are exact over any
 * full cycle of the whole process, not per thread.
 */
import type { Candidate, Strategy, StrategyContext } from './strategy.ts';

/**
 * Longest cycle kept. Weights whose exact cycle is longer are rounded to shares of a cycle of this length, each at least
 * one turn: an error under 1/MAX_CYCLE of the traffic per backend.
 */
const MAX_CYCLE = 16_384;

export class RoundRobin<C extends Candidate> implements Strategy<C> {
  readonly #context: StrategyContext;
  #eligible: readonly C[] = [];
  #cycle: Uint16Array = new Uint16Array(0);

  constructor(context: StrategyContext) {
    this.#context = context;
  }

  rebuild(eligible: readonly C[]): void {
    this.#eligible = eligible;
    this.#cycle = smoothCycle(eligible.map((candidate) => candidate.weight));
  }

  pick(_key: string, avoid: readonly C[] | null): C | null {
    const cycle = this.#cycle;
    const length = cycle.length;
    if (length === 0) return null;
    const turn = this.#context.nextTurn() % length;
    const chosen = this.#eligible[cycle[turn] as number] as C;
    if (avoid === null || !avoid.includes(chosen)) return chosen;
    for (let step = 1; step < length; step++) {
      const other = this.#eligible[cycle[(turn + step) % length] as number] as C;
      if (!avoid.includes(other)) return other;
    }
    return chosen;
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}

/** The indexes of `weights` in smooth order, each as often as its weight over the common divisor of all. */
function smoothCycle(weights: readonly number[]): Uint16Array {
  if (weights.length === 0) return new Uint16Array(0);
  const divisor = weights.reduce(greatestCommonDivisor);
  let shares = weights.map((weight) => weight / divisor);
  let total = shares.reduce((sum, share) => sum + share, 0);
  if (total > MAX_CYCLE) {
    const scale = MAX_CYCLE / total;
    shares = shares.map((share) => Math.max(1, Math.round(share * scale)));
    total = shares.reduce((sum, share) => sum + share, 0);
  }
  const cycle = new Uint16Array(total);
  const current = new Float64Array(shares.length);
  for (let turn = 0; turn < total; turn++) {
    let best = 0;
    for (let index = 0; index < shares.length; index++) {
      current[index] = (current[index] as number) + (shares[index] as number);
      if ((current[index] as number) > (current[best] as number)) best = index;
    }
    current[best] = (current[best] as number) - total;
    cycle[turn] = best;
  }
  return cycle;
}
