/**
 * Consistent hashing with bounded loads: a key goes to its backend (rendezvous.ts) unless that one has too much to do.
 *
 * "Too much" is more than BOUND × the average of requests in flight, by weight: then the next in the key's order is taken
 * (Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with bounded loads", SODA 2018; HAProxy's hash-balance-factor and
 * Envoy's hash_balance_factor are the same). One key that everybody asks for cannot overload a backend. The other side of it:
 * on a quiet proxy, requests that one client sends side by side may go to several.
 *
 * The next in order is where the hash of the hash leads (Chen, Coleman and Shrivastava, "Revisiting consistent hashing with
 * bounded loads", AAAI 2021): the overflow of one backend is spread over all others, and finding the next costs a lookup.
 */
import { hashText, mixed } from './hash.ts';
import { Rendezvous } from './rendezvous.ts';
import type { Candidate, Preview, Strategy } from './strategy.ts';

/** A backend may have so many times the average in flight. The paper's trade: closer to 1 is more even, and moves more keys. */
const BOUND = 1.25;

/** So often a hash is hashed again before all backends are looked at. At most four fifths of them, by weight, can be full. */
const MAX_JUMPS = 8;

/** A step between hashes, so that 0 is not its own successor: 2^32 divided by the golden ratio. */
const JUMP = 0x9e_37_79_b9;

/** Counting the requests of all backends is put off for so many picks as this part of the backends: see `#requests`. */
const RECOUNT_SHARE = 1 / 8;

export class ConsistentHash<C extends Candidate> implements Strategy<C> {
  readonly #order = new Rendezvous();
  #eligible: readonly C[] = [];
  #cells: readonly Int32Array[] = [];
  /** By index, BOUND × its weight. Divided by `#total` only in mind: products of whole numbers are exact, quotients are not. */
  #bounds: Float64Array = new Float64Array(0);
  /** The sum of the weights. */
  #total = 0;
  /** Within a pick: 1 for those to be avoided, or with too much to do. */
  #isPassedOver: Uint8Array = new Uint8Array(0);
  #inFlight = 0;
  #picksToRecount = 0;

  rebuild(eligible: readonly C[]): void {
    this.#eligible = eligible;
    this.#order.rebuild(eligible);
    this.#cells = eligible.map((candidate) => candidate.inFlightCell);
    this.#total = eligible.reduce((sum, { weight }) => sum + weight, 0);
    this.#bounds = Float64Array.from(eligible, ({ weight }) => BOUND * weight);
    this.#isPassedOver = new Uint8Array(eligible.length);
    this.#picksToRecount = 0;
  }

  pick(key: string, avoid: readonly C[] | null): C | null {
    if (this.#eligible.length === 0) return null;
    const hash = hashText(key, 0);
    const requests = this.#requests();
    if (avoid === null) return this.#eligible[this.#first(hash, requests)] as C;
    let index = this.#firstLeft(hash, requests, avoid);
    // All others are full: one of them is better still than one that has failed.
    if (index === -1) index = this.#firstLeft(hash, Number.POSITIVE_INFINITY, avoid);
    if (index === -1) index = this.#first(hash, requests);
    return this.#eligible[index] as C;
  }

  preview(key: string, avoid: readonly C[] | null): Preview<C> {
    const inFlight = this.#inFlight;
    const picksToRecount = this.#picksToRecount;
    const backend = this.pick(key, avoid);
    const requests = this.#inFlight;
    this.#inFlight = inFlight;
    this.#picksToRecount = picksToRecount;
    if (backend === null) return { backend, draw: null };
    const hash = hashText(key, 0);
    const home = this.#order.first(hash);
    const { id } = this.#eligible[home] as C;
    const overflowed = this.#isFull(home, requests) && id !== backend.id ? [id] : [];
    return { backend, draw: { by: 'hash', hash, overflowed } };
  }

  /**
   * Requests in flight at all backends, of all threads, the one to be placed included.
   *
   * To read so many counters would cost more than all the rest of a pick. They are read at every pick for up to eight
   * backends; for more, once in as many picks as an eighth of their number. In between each pick counts as a request more,
   * and those that end are not noticed: that moves the bound of an average backend by a sixth of a request at most.
   */
  #requests(): number {
    if (this.#picksToRecount === 0) {
      const cells = this.#cells;
      let sum = 0;
      for (let index = 0; index < cells.length; index++) {
        sum += (cells[index] as Int32Array)[0] as number;
      }
      this.#inFlight = sum;
      this.#picksToRecount = Math.ceil(cells.length * RECOUNT_SHARE);
    }
    this.#picksToRecount--;
    return ++this.#inFlight;
  }

  /** Whether it has its share already of so many requests. The shares add up to more than these: never are all full. */
  #isFull(index: number, requests: number): boolean {
    const inFlight = (this.#cells[index] as Int32Array)[0] as number;
    return inFlight * this.#total >= (this.#bounds[index] as number) * requests;
  }

  /** The first in the key's order that is not full. */
  #first(hash: number, requests: number): number {
    const first = this.#order.first(hash);
    if (!this.#isFull(first, requests)) return first;
    let next = hash;
    for (let jump = 0; jump < MAX_JUMPS; jump++) {
      next = mixed((next + JUMP) | 0);
      const index = this.#order.first(next);
      if (!this.#isFull(index, requests)) return index;
    }
    const left = this.#firstLeft(next, requests, null);
    return left === -1 ? first : left;
  }

  /** The first that is neither full nor to be avoided; −1 when there is none. */
  #firstLeft(hash: number, requests: number, avoid: readonly C[] | null): number {
    const eligible = this.#eligible;
    for (let index = 0; index < eligible.length; index++) {
      const isOut =
        this.#isFull(index, requests) || (avoid !== null && avoid.includes(eligible[index] as C));
      this.#isPassedOver[index] = isOut ? 1 : 0;
    }
    return this.#order.firstLeft(hash, this.#isPassedOver);
  }
}
