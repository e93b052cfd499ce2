/**
 * Smooth weighted round robin.
 *
 * A pick is one lookup at a turn number that all data threads share: the proportions are exact over any full cycle of the
 * whole process, not per thread. Who has which turn depends on nothing but the weights, so that threads need not agree on
 * anything else: of a short cycle it is worked out at once and for all (smooth-cycle.ts); of a longer one a stretch at a
 * time, when its turns come (spread-turns.ts), since health may flip at any moment and no thread may stand still for it.
 */
import { isQuickCycle, smoothCycle } from './smooth-cycle.ts';
import { SpreadTurns } from './spread-turns.ts';
import type { Candidate, Strategy, StrategyContext } from './strategy.ts';

export class RoundRobin<C extends Candidate> implements Strategy<C> {
  readonly #context: StrategyContext;
  #eligible: readonly C[] = [];
  /** Turns until the order repeats. */
  #cycle = 0;
  /** Null when the whole cycle is in `#owners`. */
  #spread: SpreadTurns | null = null;
  /** The turns from `#begin` up to `#end`, and whose they are, by index. */
  #begin = 0;
  #end = 0;
  #owners: Int32Array = new Int32Array(0);

  constructor(context: StrategyContext) {
    this.#context = context;
  }

  rebuild(eligible: readonly C[]): void {
    const weights = eligible.map(({ weight }) => weight);
    const divisor = weights.reduce(greatestCommonDivisor, 0);
    const shares = weights.map((weight) => weight / divisor);
    const cycle = shares.reduce((sum, share) => sum + share, 0);
    const isQuick = isQuickCycle(shares, cycle);
    this.#eligible = eligible;
    this.#cycle = cycle;
    this.#spread = isQuick ? null : new SpreadTurns(shares, cycle);
    this.#begin = 0;
    this.#end = isQuick ? cycle : 0;
    this.#owners = isQuick ? smoothCycle(shares, cycle) : new Int32Array(0);
  }

  pick(_key: string, avoid: readonly C[] | null): C | null {
    if (this.#cycle === 0) return null;
    const turn = this.#context.nextTurn() % this.#cycle;
    if (turn < this.#begin || turn >= this.#end) this.#workOut(turn);
    const place = turn - this.#begin;
    const chosen = this.#eligible[this.#owners[place] as number] as C;
    return avoid === null || !avoid.includes(chosen) ? chosen : this.#other(place, avoid);
  }

  #workOut(turn: number): void {
    const spread = this.#spread as SpreadTurns;
    spread.moveTo(turn);
    this.#begin = spread.begin;
    this.#end = spread.end;
    this.#owners = spread.owners;
  }

  /** Whoever has the next turn and is not to be avoided; the owner of this one if all are. */
  #other(place: number, avoid: readonly C[]): C {
    const eligible = this.#eligible;
    const owners = this.#owners;
    const count = this.#end - this.#begin;
    for (let step = 1; step < count; step++) {
      const other = eligible[owners[(place + step) % count] as number] as C;
      if (!avoid.includes(other)) return other;
    }
    // Not everybody has a turn in a stretch.
    const index = owners[place] as number;
    for (let step = 1; step < eligible.length; step++) {
      const other = eligible[(index + step) % eligible.length] as C;
      if (!avoid.includes(other)) return other;
    }
    return eligible[index] as C;
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}
