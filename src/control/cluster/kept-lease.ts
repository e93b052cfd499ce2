/** A lease that is renewed until it is released, lost or closed: the same with every engine. */
import type { Lease, LeaseOptions } from './registry-store.ts';
import type { Timing } from './timing.ts';

/** So many renewals fit into its time. */
const RENEWALS = 3;

export interface LeaseCalls {
  /** @returns for how long from now on; undefined where the store has it no more. */
  renew(id: string): Promise<number | undefined>;
  revoke(id: string): Promise<void>;
}

export class KeptLease implements Lease {
  readonly id: string;
  readonly #calls: LeaseCalls;
  readonly #timing: Timing;
  readonly #onLost: () => void;
  /** By our clock. What the store counts from came later than what we count from. */
  #heldUntil: number;
  #isOver = false;
  #callOffRenewal: () => void = () => {};
  #callOffLoss: () => void = () => {};

  /** @param askedAt when it was asked for, by `timing`. */
  constructor(
    id: string,
    askedAt: number,
    { ttlMs, onLost = () => {} }: LeaseOptions,
    calls: LeaseCalls,
    timing: Timing,
  ) {
    this.id = id;
    this.#calls = calls;
    this.#timing = timing;
    this.#onLost = onLost;
    this.#heldUntil = askedAt + ttlMs;
    this.#plan(ttlMs);
  }

  isHeld(): boolean {
    return !this.#isOver && this.#timing.now() < this.#heldUntil;
  }

  async release(): Promise<void> {
    const wasOver = this.#isOver;
    this.stop();
    if (!wasOver) await this.#calls.revoke(this.id).catch(() => {});
  }

  /** Renews it no more; the store drops it when its time is over. */
  stop(): void {
    this.#isOver = true;
    this.#callOffRenewal();
    this.#callOffLoss();
  }

  #plan(ttlMs: number): void {
    const { now } = this.#timing;
    this.#callOffRenewal();
    this.#callOffLoss();
    this.#callOffLoss = this.#timing.after(this.#heldUntil - now(), () => this.#lose());
    this.#callOffRenewal = this.#timing.after(ttlMs / RENEWALS, () => void this.#renew(ttlMs));
  }

  async #renew(ttlMs: number): Promise<void> {
    const askedAt = this.#timing.now();
    try {
      const nextMs = await this.#calls.renew(this.id);
      if (this.#isOver) return;
      if (nextMs === undefined) {
        this.#lose();
        return;
      }
      this.#heldUntil = askedAt + nextMs;
      this.#plan(nextMs);
    } catch {
      if (this.#isOver) return;
      // There is time for some more tries, as long as nobody has said that it is gone.
      const soonMs = ttlMs / RENEWALS / 4;
      this.#callOffRenewal = this.#timing.after(soonMs, () => void this.#renew(ttlMs));
    }
  }

  #lose(): void {
    if (this.#isOver) return;
    this.stop();
    this.#onLost();
  }
}
