/** Ids of traces and spans. The system is asked for chance now and then, not for each. */
import { randomFillSync } from 'node:crypto';

const POOL_BYTES = 4096;

export class RandomIds {
  readonly #bytes = Buffer.alloc(POOL_BYTES);
  #used = POOL_BYTES;

  /** @returns two digits for each byte. */
  hex(bytes: number): string {
    if (this.#used + bytes > POOL_BYTES) {
      randomFillSync(this.#bytes);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += bytes;
    return this.#bytes.toString('hex', start, this.#used);
  }
}
