/**
 * The order of nginx's smooth algorithm (commit 52327e0627f4, "upstream: smooth weighted round-robin balancing"): each turn
 * every candidate gains its weight, the highest goes and loses the total. Weights 5, 1, 1 give a a b a c a a, never five in
 * a row. The order repeats after as many turns as the weights add up to.
 */

/** Gains that are worked out within half a millisecond. */
const MAX_GAINS = 131_072;

/** @param shares positive, without a common divisor. */
export function isQuickCycle(shares: readonly number[], total: number): boolean {
  return total === shares.length || total * shares.length <= MAX_GAINS;
}

/** The indexes of `shares` in smooth order, each as often as its share. */
export function smoothCycle(shares: readonly number[], total: number): Int32Array {
  const cycle = new Int32Array(total);
  if (total === shares.length) return cycle.map((_, turn) => turn);
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
