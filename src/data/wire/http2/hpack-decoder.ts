/** Header blocks read (RFC 7541). One per connection: the order of its calls is the order of the blocks. */
import type { FieldCache } from './field-cache.ts';
import type { FieldLimits, FieldList } from './field-list.ts';

export const DECODED = 0;
/** The list is over its limits: what it holds is not all of it. The table is right, so the connection lives: 431. */
export const DECODED_TOO_LARGE = 1;
/** The connection has a COMPRESSION_ERROR. */
export const DECODE_FAILED = 2;
export type DecodeOutcome = typeof DECODED | typeof DECODED_TOO_LARGE | typeof DECODE_FAILED;

export class HpackDecoder {
  /** @param tableSize as our SETTINGS say */
  constructor(_cache: FieldCache, _tableSize: number) {}

  /** Reads the whole block `buffer[start, end)` into `list`, which is emptied first. Never throws. */
  decode(
    _buffer: Buffer,
    _start: number,
    _end: number,
    _list: FieldList,
    _limits: FieldLimits,
  ): DecodeOutcome {
    return DECODED;
  }
}
