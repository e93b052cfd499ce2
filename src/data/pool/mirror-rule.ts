/** Which requests of a route are mirrored, and by which policies their copies go. */
import { golden } from '../balance/golden-ratio.ts';
import type { Policies } from './policies.ts';
import type { Pool } from './pool.ts';
import type { PoolView } from './pool-view.ts';

/** Of a pool that has no `timeouts.total`: nobody waits for the answer to a copy. */
const LONGEST_MS = 30_000;

export class MirrorRule {
  /** Where the copies go. */
  readonly pool: Pool;
  readonly policies: Policies;
  /** Of the requests, from 0 to 1. */
  readonly #share: number;
  #turn: number;

  /** @param random in [0, 1): where the turns of this thread begin. */
  constructor(pool: Pool, { policies }: PoolView, percent: number, random: number) {
    const { timeouts, retries } = policies;
    this.pool = pool;
    this.policies = {
      ...policies,
      timeouts: { ...timeouts, totalMs: timeouts.totalMs || LONGEST_MS },
      retries: { ...retries, attempts: 1, onStatus: [], onGrpcStatus: [], hedgeAfterMs: 0 },
      // What is mirrored has been let in.
      bodyBytes: 0,
    };
    this.#share = percent / 100;
    this.#turn = random;
  }

  /** Whether the next request is mirrored. */
  isNext(): boolean {
    this.#turn = golden(this.#turn);
    return this.#turn < this.#share;
  }

  /** What `isNext` would say. */
  get wouldBeNext(): boolean {
    return golden(this.#turn) < this.#share;
  }
}
