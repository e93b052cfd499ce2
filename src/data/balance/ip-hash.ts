/**
 * IP hash: a client address always goes to the same backend, in every thread and after every restart, as long as that
 * backend is there. While it is not, its clients are spread over the others, and no other client moves (rendezvous.ts).
 */
import { hashText } from './hash.ts';
import { Rendezvous } from './rendezvous.ts';
import type { Candidate, Preview, Strategy } from './strategy.ts';

export class IpHash<C extends Candidate> implements Strategy<C> {
  readonly #order = new Rendezvous();
  #eligible: readonly C[] = [];
  /** Within a pick: 1 for those to be avoided. */
  #isPassedOver: Uint8Array = new Uint8Array(0);

  rebuild(eligible: readonly C[]): void {
    this.#eligible = eligible;
    this.#order.rebuild(eligible);
    this.#isPassedOver = new Uint8Array(eligible.length);
  }

  pick(key: string, avoid: readonly C[] | null): C | null {
    if (this.#eligible.length === 0) return null;
    const hash = hashText(key, 0);
    let index = avoid === null ? this.#order.first(hash) : this.#firstLeft(hash, avoid);
    if (index === -1) index = this.#order.first(hash);
    return this.#eligible[index] as C;
  }

  preview(key: string, avoid: readonly C[] | null): Preview<C> {
    const backend = this.pick(key, avoid);
    const draw = { by: 'hash', hash: hashText(key, 0), overflowed: [] } as const;
    return { backend, draw: backend === null ? null : draw };
  }

  #firstLeft(hash: number, avoid: readonly C[]): number {
    const eligible = this.#eligible;
    for (let index = 0; index < eligible.length; index++) {
      this.#isPassedOver[index] = avoid.includes(eligible[index] as C) ? 1 : 0;
    }
    return this.#order.firstLeft(hash, this.#isPassedOver);
  }
}
