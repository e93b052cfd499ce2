/**
 * Literals that came before, of all connections of a thread: the same bytes are the same field. It is fixed in size, and what is
 * not met again does not get in: the first time only a hash is kept.
 *
 * Every hash has one place. Who knows how bytes are hashed can push others out, and no more.
 */
import type { Field } from './field.ts';

const PLACES = 1024;
/** Longer ones differ too often. */
export const MAX_CACHED_BYTES = 128;

class CachedLiteral {
  readonly nameIndex: number;
  readonly length: number;
  readonly field: Field;

  constructor(nameIndex: number, length: number, field: Field) {
    this.nameIndex = nameIndex;
    this.length = length;
    this.field = field;
  }
}

export class FieldCache {
  readonly #literals: (CachedLiteral | null)[] = Array.from({ length: PLACES }, () => null);
  /** The bytes of each, at its place: a small buffer for each would keep the slab alive that Node cuts it from, up to 64 KiB. */
  readonly #bytes: Buffer = Buffer.allocUnsafeSlow(PLACES * MAX_CACHED_BYTES);
  /** Of what was last looked for in vain at each place. */
  readonly #hashes = new Int32Array(PLACES);
  #hash = 0;

  /**
   * @param nameIndex of the static table, or 0: the name is part of the bytes.
   * @param start `buffer[start, end)` is all of the literal behind that index, as it is on the wire: `MAX_CACHED_BYTES` at most.
   * @returns null: it is not here; `add` may follow.
   */
  find(nameIndex: number, buffer: Buffer, start: number, end: number): Field | null {
    let hash = nameIndex;
    for (let at = start; at < end; at++)
      hash = Math.imul(hash ^ (buffer[at] as number), 0x01000193);
    hash ^= hash >>> 15;
    this.#hash = hash;
    const place = hash & (PLACES - 1);
    const literal = this.#literals[place] as CachedLiteral | null;
    if (literal === null || literal.nameIndex !== nameIndex) return null;
    const length = end - start;
    if (literal.length !== length) return null;
    const bytes = this.#bytes;
    const base = place * MAX_CACHED_BYTES;
    for (let index = 0; index < length; index++) {
      if (bytes[base + index] !== buffer[start + index]) return null;
    }
    return literal.field;
  }

  /** What `find` has just not found is this field. */
  add(nameIndex: number, buffer: Buffer, start: number, end: number, field: Field): void {
    const hash = this.#hash;
    const place = hash & (PLACES - 1);
    if (this.#hashes[place] !== hash) {
      this.#hashes[place] = hash;
      return;
    }
    buffer.copy(this.#bytes, place * MAX_CACHED_BYTES, start, end);
    this.#literals[place] = new CachedLiteral(nameIndex, end - start, field);
  }
}
