/**
 * Header blocks read (RFC 7541). One per connection: the order of its calls is the order of the blocks.
 *
 * Fields of the tables are taken as they are, and literals that any connection of the thread has sent before too. What a block may
 * cost is bounded by its bytes: an index into a table costs a step, however large its field is, and lists count it as it is.
 */
import { type Field, type FieldName, PSEUDO_NONE, readField, readName } from './field.ts';
import { type FieldCache, MAX_CACHED_BYTES } from './field-cache.ts';
import type { FieldLimits, FieldList } from './field-list.ts';
import { FieldTable } from './field-table.ts';
import { decodedBytes, decodeHuffman } from './huffman.ts';
import { FIRST_DYNAMIC, STATIC_FIELDS } from './static-table.ts';
import { noteSecret } from './treatments.ts';

export const DECODED = 0;
/** The list is over its limits: what it holds is not all of it. The table is right, so the connection lives: 431. */
export const DECODED_TOO_LARGE = 1;
/** The connection has a COMPRESSION_ERROR. */
export const DECODE_FAILED = 2;
export type DecodeOutcome = typeof DECODED | typeof DECODED_TOO_LARGE | typeof DECODE_FAILED;

// First bytes of representations (RFC 7541 §6).
const INDEXED = 0x80;
const WITH_INDEXING = 0x40;
const SIZE_UPDATE = 0x20;
const NEVER_INDEXED = 0x10;

const HUFFMAN = 0x80;

/** So many bytes behind the prefix are more than any number here needs: 2^28. */
const MAX_INTEGER_BYTES = 4;

/** RFC 7541 §4.2: the smallest one since the last block, and the last. */
const MAX_SIZE_UPDATES = 2;

/** Strings that were in Huffman code; a thread runs one call at a time. */
let text: Buffer = Buffer.allocUnsafeSlow(4096);

export class HpackDecoder {
  readonly #cache: FieldCache;
  /** The most that the peer may use. */
  readonly #tableSize: number;
  readonly #table: FieldTable<Field>;
  #buffer: Buffer = text;
  #at = 0;
  #end = 0;

  /** @param tableSize as our SETTINGS say */
  constructor(cache: FieldCache, tableSize: number) {
    this.#cache = cache;
    this.#tableSize = tableSize;
    this.#table = new FieldTable(tableSize);
  }

  /** Reads the whole block `buffer[start, end)` into `list`, which is emptied first. Never throws. */
  decode(
    buffer: Buffer,
    start: number,
    end: number,
    list: FieldList,
    limits: FieldLimits,
  ): DecodeOutcome {
    list.clear();
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
    let isTooLarge = false;
    if (!this.#readSizeUpdates()) return DECODE_FAILED;
    while (this.#at < end) {
      const byte = buffer[this.#at] as number;
      const field = byte < INDEXED ? this.#readLiteral(byte) : this.#readIndexed();
      if (field === null) return DECODE_FAILED;
      // Over the limit the rest is read for what it does to the table.
      isTooLarge ||= !list.add(field, limits);
    }
    return isTooLarge ? DECODED_TOO_LARGE : DECODED;
  }

  /** They stand at the beginning of a block (RFC 7541 §4.2), nowhere else. */
  #readSizeUpdates(): boolean {
    let updates = 0;
    while (this.#at < this.#end && ((this.#buffer[this.#at] as number) & 0xe0) === SIZE_UPDATE) {
      const size = this.#readInteger(0x1f);
      updates++;
      if (size < 0 || size > this.#tableSize || updates > MAX_SIZE_UPDATES) return false;
      this.#table.resize(size);
    }
    return true;
  }

  #readIndexed(): Field | null {
    return this.#fieldAt(this.#readInteger(0x7f));
  }

  /** @param index may be −1: a number that is none. */
  #fieldAt(index: number): Field | null {
    if (index >= FIRST_DYNAMIC) return this.#table.get(index - FIRST_DYNAMIC);
    return index > 0 ? (STATIC_FIELDS[index] as Field) : null;
  }

  #readLiteral(byte: number): Field | null {
    if (byte >= WITH_INDEXING) {
      const field = this.#readParts(this.#readInteger(0x3f), true);
      if (field !== null) this.#table.add(field);
      return field;
    }
    if (byte >= SIZE_UPDATE) return null;
    if (byte < NEVER_INDEXED) return this.#readParts(this.#readInteger(0x0f), true);
    // It is remembered by nobody.
    const secret = this.#readParts(this.#readInteger(0x0f), false);
    if (secret !== null && secret.pseudo === PSEUDO_NONE) noteSecret(secret.name);
    return secret;
  }

  #readParts(nameIndex: number, mayCache: boolean): Field | null {
    if (nameIndex < 0) return null;
    const start = this.#at;
    if (!mayCache || nameIndex >= FIRST_DYNAMIC) return this.#readWhole(nameIndex);
    const end = this.#endOfStrings(nameIndex === 0 ? 2 : 1);
    if (end - start > MAX_CACHED_BYTES) return this.#readWhole(nameIndex);
    if (end < 0) return null;
    const known = this.#cache.find(nameIndex, this.#buffer, start, end);
    if (known !== null) {
      this.#at = end;
      return known;
    }
    const field = this.#readWhole(nameIndex);
    if (field !== null) this.#cache.add(nameIndex, this.#buffer, start, end, field);
    return field;
  }

  /** Where that many strings from here on end, or −1. */
  #endOfStrings(count: number): number {
    const start = this.#at;
    for (let index = 0; index < count; index++) {
      const length = this.#readInteger(0x7f);
      if (length < 0 || length > this.#end - this.#at) return -1;
      this.#at += length;
    }
    const end = this.#at;
    this.#at = start;
    return end;
  }

  #readWhole(nameIndex: number): Field | null {
    let name: FieldName;
    if (nameIndex === 0) {
      if (!this.#readString()) return null;
      name = readName(this.#string, this.#stringStart, this.#stringEnd);
    } else {
      const field = this.#fieldAt(nameIndex);
      if (field === null) return null;
      name = field.named;
    }
    if (!this.#readString()) return null;
    return readField(name, this.#string, this.#stringStart, this.#stringEnd);
  }

  // ── Strings and numbers (RFC 7541 §5) ───────────────────────────────────────────────────────────────────────────

  /** The last string: `#string[#stringStart, #stringEnd)`. */
  #string: Buffer = text;
  #stringStart = 0;
  #stringEnd = 0;

  #readString(): boolean {
    if (this.#at >= this.#end) return false;
    const isHuffman = ((this.#buffer[this.#at] as number) & HUFFMAN) !== 0;
    const length = this.#readInteger(0x7f);
    const start = this.#at;
    if (length < 0 || length > this.#end - start) return false;
    this.#at = start + length;
    if (!isHuffman) {
      this.#string = this.#buffer;
      this.#stringStart = start;
      this.#stringEnd = start + length;
      return true;
    }
    const room = decodedBytes(length);
    if (room > text.length) text = Buffer.allocUnsafeSlow(room * 2);
    this.#string = text;
    this.#stringStart = 0;
    this.#stringEnd = decodeHuffman(this.#buffer, start, start + length, text);
    return this.#stringEnd >= 0;
  }

  /** @param prefix the bits of the first byte that belong to it, all 1. @returns −1: it is none, or larger than can be. */
  #readInteger(prefix: number): number {
    if (this.#at >= this.#end) return -1;
    let value = (this.#buffer[this.#at++] as number) & prefix;
    if (value < prefix) return value;
    for (let index = 0; index < MAX_INTEGER_BYTES; index++) {
      if (this.#at >= this.#end) return -1;
      const byte = this.#buffer[this.#at++] as number;
      value += (byte & 0x7f) << (index * 7);
      if (byte < 0x80) return value;
    }
    return -1;
  }
}
