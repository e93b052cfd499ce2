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
  readonly bytes: Buffer;
  readonly field: Field;

  constructor(nameIndex: number, bytes: Buffer, field: Field) {
    this.nameIndex = nameIndex;
    this.bytes = bytes;
    this.field = field;
  }
}

export class FieldCache {
  readonly #literals: (CachedLiteral | null)[] = Array.from({ length: PLACES }, () => null);
  /** Of what was last looked for in vain at each place. */
  readonly #hashes = new Int32Array(PLACES);
  #hash = 0;

  /**
   * @param nameIndex of the static table, or 0: the name is part of the bytes.
   * @param start `buffer[start, end)` is all of the literal behind that index, as it is on the wire.
   * @returns null: it is not here; `add` may follow.
   */
  find(nameIndex: number, buffer: Buffer, start: number, end: number): Field | null {
    let hash = nameIndex;
    for (let at = start; at < end; at++)
      hash = Math.imul(hash ^ (buffer[at] as number), 0x01000193);
    hash ^= hash >>> 15;
    this.#hash = hash;
    const literal = this.#literals[hash & (PLACES - 1)] as CachedLiteral | null;
    if (literal === null || literal.nameIndex !== nameIndex) return null;
    const { bytes } = literal;
    if (bytes.length !== end - start) return null;
    for (let index = 0; index < bytes.length; index++) {
      if (bytes[index] !== buffer[start + index]) return null;
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
    const bytes = Buffer.from(buffer.subarray(start, end));
    this.#literals[place] = new CachedLiteral(nameIndex, bytes, field);
  }
}
