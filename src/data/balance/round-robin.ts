/**
 * Smooth weighted round robin.
 *
 * A pick is one lookup at a turn number that all data threads share: the proportions are exact over any full cycle of the
 * whole process, not per thread. Who has which turn depends on nothing but the weights, so that threads need not agree on
 * anything else: of a short cycle it is worked out at once and for all (smooth-cycle.ts); of a longer one a stretch at a
 * time, when its turns come (spread-turns.ts), since health may flip at any moment and no thread may stand still for it.
 *
 * Turns are for requests, not for picks. A further pick of the same request (a retry, a hedge, the next one when the first
 * has no room) takes none: else a backend whose requests are all tried again would get every first attempt, or none. Such
 * picks go round in the same order by a count that each thread has for itself, so that they are spread by weight as well.
 */
import { isQuickCycle, smoothCycle } from './smooth-cycle.ts';
import { SpreadTurns } from './spread-turns.ts';
import type { Candidate, Preview, Strategy, StrategyContext } from './strategy.ts';

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
  /** Where further picks go on among the turns at hand. By chance at first: threads must not march in step. */
  #further: number;

  constructor(context: StrategyContext) {
    this.#context = context;
    this.#further = Math.floor(context.random() * 0x1_00_00);
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
    if (avoid !== null) return this.#pickFurther(avoid);
    return this.#ownerOf(this.#context.nextTurn() % this.#cycle);
  }

  preview(_key: string, avoid: readonly C[] | null): Preview<C> {
    if (this.#cycle === 0) return { backend: null, draw: null };
    if (avoid !== null) {
      const further = this.#further;
      const backend = this.#pickFurther(avoid);
      this.#further = further;
      return { backend, draw: { by: 'further turn' } };
    }
    const turn = this.#context.comingTurn() % this.#cycle;
    return { backend: this.#ownerOf(turn), draw: { by: 'turn', turn, of: this.#cycle } };
  }

  #ownerOf(turn: number): C {
    if (turn < this.#begin || turn >= this.#end) this.#workOut(turn);
    return this.#eligible[this.#owners[turn - this.#begin] as number] as C;
  }

  #workOut(turn: number): void {
    const spread = this.#spread as SpreadTurns;
    spread.moveTo(turn);
    this.#begin = spread.begin;
    this.#end = spread.end;
    this.#owners = spread.owners;
  }

  #pickFurther(avoid: readonly C[]): C {
    if (this.#begin === this.#end) this.#workOut(0);
    const eligible = this.#eligible;
    const owners = this.#owners;
    const count = this.#end - this.#begin;
    for (let step = 0; step < count; step++) {
      const place = (this.#further + step) % count;
      const other = eligible[owners[place] as number] as C;
      if (avoid.includes(other)) continue;
      this.#further = place + 1;
      return other;
    }
    // Not everybody has a turn in a stretch.
    const start = this.#further++;
    for (let step = 0; step < eligible.length; step++) {
      const other = eligible[(start + step) % eligible.length] as C;
      if (!avoid.includes(other)) return other;
    }
    return eligible[start % eligible.length] as C;
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}
