/**
 * What the data threads are yet to hear of who may be picked. They hear it at the end of this turn of the event loop: of a thousand
 * checks that end together, each pool is told of once.
 */
import type { Eligibility, Snapshot } from '../../snapshot/snapshot.ts';

export type Flips = readonly (readonly [poolId: number, eligibility: Eligibility])[];

export class EligibilityFlips {
  /** By pool. */
  readonly #flips = new Map<number, Eligibility>();
  readonly #send: (flips: Flips) => Promise<unknown>;
  #sent: Promise<unknown> = Promise.resolve();
  #isAboutToSend = false;

  /** @param send resolves when all threads have applied them. */
  constructor(send: (flips: Flips) => Promise<unknown>) {
    this.#send = send;
  }

  /** Resolves when all that was added until now is applied. */
  async applied(): Promise<void> {
    await this.#sent;
  }

  add(poolId: number, eligibility: Eligibility): void {
    this.#flips.set(poolId, eligibility);
    if (this.#isAboutToSend) return;
    this.#isAboutToSend = true;
    this.#sent = new Promise((resolve) => {
      setImmediate(() => {
        this.#isAboutToSend = false;
        const flips = [...this.#flips];
        resolve(this.#send(flips));
        this.#flips.clear();
      });
    });
  }

  /** A snapshot that knows of them goes ahead of them. */
  clear(): void {
    this.#flips.clear();
  }

  /** The snapshot as it is with them: for a thread that starts before they are sent. */
  laidOver(snapshot: Snapshot): Snapshot {
    const flips = this.#flips;
    if (flips.size === 0) return snapshot;
    const pools = snapshot.pools.map((pool) => {
      const eligibility = flips.get(pool.id);
      return eligibility === undefined ? pool : { ...pool, eligibility };
    });
    return { ...snapshot, pools };
  }
}
