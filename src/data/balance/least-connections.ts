/**
 * Weighted least connections: the backend with the fewest requests in flight per unit of weight.
 *
 * The load is the count of requests in flight of all data threads, read from shared memory at each pick. Equal loads are
 * settled by chance (one pass, reservoir of one), so that several proxies that start together do not march in step.
 * Compared as (in flight + 1) / weight, the load after the pick: an idle backend of weight 3 goes before an idle one of
 * weight 1 (the rule of Linux IPVS "wlc" and HAProxy's leastconn).
 */
import type { Candidate, Strategy, StrategyContext } from './strategy.ts';

export class LeastConnections<C extends Candidate> implements Strategy<C> {
  readonly #context: StrategyContext;
  #eligible: readonly C[] = [];

  constructor(context: StrategyContext) {
    this.#context = context;
  }

  rebuild(eligible: readonly C[]): void {
    this.#eligible = eligible;
  }

  pick(_key: string, avoid: readonly C[] | null): C | null {
    return this.#least(avoid) ?? (avoid === null ? null : this.#least(null));
  }

  #least(avoid: readonly C[] | null): C | null {
    let best: C | null = null;
    let bestLoad = 0;
    let bestWeight = 1;
    let ties = 1;
    const eligible = this.#eligible;
    for (let index = 0; index < eligible.length; index++) {
      const candidate = eligible[index] as C;
      if (avoid !== null && avoid.includes(candidate)) continue;
      const load = candidate.inFlight + 1;
      const weight = candidate.weight;
      // load / weight < bestLoad / bestWeight, without the division.
      const difference = best === null ? -1 : load * bestWeight - bestLoad * weight;
      if (difference > 0) continue;
      if (difference === 0) {
        ties++;
        if (this.#context.random() * ties >= 1) continue;
      } else {
        ties = 1;
      }
      best = candidate;
      bestLoad = load;
      bestWeight = weight;
    }
    return best;
  }
}
