/**
 * What the others think of backends, as a hint: where somebody thinks otherwise than this instance, it checks now. Nothing else follows
 * from it: the path to a backend may be cut for one instance and not for another, and each is right about its own.
 */
import type { PeerHealth } from './peer-health.ts';
import type { Timing } from './timing.ts';

const LOOK_MS = 5_000;

export interface PeerVerdictsOptions {
  readonly timing: Timing;
  /** Where instances disagree; asks them. */
  readonly compare: () => Promise<PeerHealth>;
  readonly checkNow: (pool: string, url: string) => void;
}

export class PeerVerdicts {
  readonly #options: PeerVerdictsOptions;
  #callOff: () => void = () => {};
  #isClosed = false;

  constructor(options: PeerVerdictsOptions) {
    this.#options = options;
    this.#later();
  }

  close(): void {
    this.#isClosed = true;
    this.#callOff();
  }

  #later(): void {
    const { timing } = this.#options;
    // Not all at the same moment.
    this.#callOff = timing.after(LOOK_MS * (0.75 + 0.5 * timing.random()), () => void this.#look());
  }

  async #look(): Promise<void> {
    const { compare, checkNow } = this.#options;
    try {
      const { disagreements } = await compare();
      if (this.#isClosed) return;
      for (const { pool, backend } of disagreements) checkNow(pool, backend);
    } catch {
      // Who can't be asked gives no hint.
    }
    if (!this.#isClosed) this.#later();
  }
}
