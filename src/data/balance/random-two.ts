/**
 * Random two: of two backends drawn by chance, the one with fewer requests in flight per unit of weight.
 *
 * Nearly as even as least connections, at the same cost for any number of backends (two-choices.ts names the paper; the
 * drawing by weight is that of nginx's "random two least_conn"). Loads are compared as least connections compares them,
 * after the pick; of equal ones, the first drawn. A small pool is looked at as a whole, and so is a large one when there are
 * backends to avoid: that is a retry, and rare.
 */
import { Chance } from './chance.ts';
import { LeastConnections } from './least-connections.ts';
import type { Candidate, Preview, Strategy, StrategyContext } from './strategy.ts';
import { FULL_SCAN_MAX, TwoChoices } from './two-choices.ts';

export class RandomTwo<C extends Candidate> implements Strategy<C> {
  readonly #all: LeastConnections<C>;
  readonly #choices: TwoChoices;
  #eligible: readonly C[] = [];
  #cells: readonly Int32Array[] = [];
  #weights: Float64Array = new Float64Array(0);

  constructor(context: StrategyContext) {
    this.#all = new LeastConnections(context);
    this.#choices = new TwoChoices(new Chance(context.random));
  }

  rebuild(eligible: readonly C[]): void {
    this.#all.rebuild(eligible);
    this.#eligible = eligible;
    this.#cells = eligible.map((candidate) => candidate.inFlightCell);
    this.#weights = Float64Array.from(eligible, (candidate) => candidate.weight);
    this.#choices.rebuild(this.#weights);
  }

  preview(key: string, avoid: readonly C[] | null): Preview<C> {
    if (avoid !== null || this.#eligible.length <= FULL_SCAN_MAX) {
      return this.#all.preview(key, avoid);
    }
    const choices = this.#choices;
    const backend = choices.foreseen(() => this.pick(key, null));
    const drawn = [this.#idAt(choices.first), this.#idAt(choices.second)] as const;
    return { backend, draw: { by: 'two', drawn } };
  }

  costOf(backend: C): number {
    return this.#all.costOf(backend);
  }

  #idAt(index: number): number {
    return (this.#eligible[index] as C).id;
  }

  pick(key: string, avoid: readonly C[] | null): C | null {
    const eligible = this.#eligible;
    if (avoid !== null || eligible.length <= FULL_SCAN_MAX) return this.#all.pick(key, avoid);
    const choices = this.#choices;
    choices.draw();
    const { first, second } = choices;
    const firstLoad = ((this.#cells[first] as Int32Array)[0] as number) + 1;
    const secondLoad = ((this.#cells[second] as Int32Array)[0] as number) + 1;
    // secondLoad / secondWeight < firstLoad / firstWeight, without the division.
    const isSecondLess =
      secondLoad * (this.#weights[first] as number) < firstLoad * (this.#weights[second] as number);
    return eligible[isSecondLess ? second : first] as C;
  }
}
