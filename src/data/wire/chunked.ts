/**
 * The chunked transfer coding (RFC 9112 §7.1), in and out.
 *
 * The decoder is pulled: each call to `next` consumes bytes until it has a run of data to hand over, needs more, is
 * done, or found an error. Runs are offsets into the caller's bytes, which it lends to be changed: short runs are moved
 * together in place and handed over as one, so that a body in chunks of one byte costs about what its bytes cost. Chunk
 * extensions are dropped (RFC 9112 §7.1.1) and bounded, since each of them costs the sender little and a parser much.
 */
import type { ErrorCode } from '../../errors.ts';
import { CHUNK_EXTENSION, CR, HEX, HTAB, LF, SEMICOLON, SP } from './bytes.ts';
import { type PARSE_DONE, PARSE_FAILED, PARSE_MORE } from './first-line.ts';
import type { Head } from './head.ts';
import { type HeadLimits, HeadParser } from './head-parser.ts';

export const CHUNK_MORE = 0;
/** `dataStart` and `dataEnd` hold a run of body bytes. */
export const CHUNK_DATA = 1;
/** The body, trailer section included, is complete. `position` is the first byte after it. */
export const CHUNK_DONE = 2;
export const CHUNK_FAILED = 3;
export type ChunkEvent =
  | typeof CHUNK_MORE
  | typeof CHUNK_DATA
  | typeof CHUNK_DONE
  | typeof CHUNK_FAILED;

/** 2^53 has 14 hexadecimal digits; two more leave room for leading zeros. */
const MAX_SIZE_DIGITS = 16;
const MAX_EXTENSION_BYTES = 256;
const MAX_TOTAL_EXTENSION_BYTES = 16 * 1024;
/** Up to here a run is gathered: moving it costs less than handing it over. */
const SHORT_RUN_BYTES = 1024;
/** Up to here a loop moves it faster than a call. */
const TINY_RUN_BYTES = 16;

const AT_SIZE_START = 0;
const AT_SIZE = 1;
const AT_EXTENSION = 2;
const AT_SIZE_LF = 3;
const AT_DATA = 4;
const AT_DATA_CR = 5;
const AT_DATA_LF = 6;
const AT_TRAILER_START = 7;
const AT_END_LF = 8;
const AT_TRAILER = 9;
const AT_DONE = 10;
const HAS_FAILED = 11;
/** Spaces behind a size, of a sender that is treated leniently. */
const AT_SIZE_SPACE = 12;

export class ChunkDecoder {
  error: ErrorCode | null = null;
  /** After `next`: how far the input is consumed. */
  position = 0;
  dataStart = 0;
  dataEnd = 0;
  /** The trailer section; null when there was none. It stays good: its bytes are the decoder's own. */
  trailer: Head | null = null;

  readonly #limits: HeadLimits;
  #state: number = AT_SIZE_START;
  #digits = 0;
  #remaining = 0;
  #extensionBytes = 0;
  #totalExtensionBytes = 0;
  #trailerBytes: Buffer | null = null;
  #trailerLength = 0;
  #trailerParser: HeadParser | null = null;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
  }

  get isLenient(): boolean {
    return this.#limits.isLenient;
  }

  /** Found at `position`. What was gathered before it goes first: the next call says it again. */
  #fail(error: ErrorCode, position: number): ChunkEvent {
    this.error = error;
    this.#state = HAS_FAILED;
    this.position = position;
    return this.#hasGathered ? CHUNK_DATA : CHUNK_FAILED;
  }

  get #hasGathered(): boolean {
    return this.dataEnd > this.dataStart;
  }

  /**
   * Goes on at `buffer[start]`; bytes from `end` on have not arrived. Never throws. What lies before `position` afterwards may
   * have been overwritten by body bytes that were moved together.
   */
  next(buffer: Uint8Array, start: number, end: number): ChunkEvent {
    let position = start;
    this.dataStart = start;
    this.dataEnd = start;
    while (position < end) {
      switch (this.#state) {
        case AT_SIZE_START: {
          position = this.#gatherShortChunks(buffer, position, end);
          if (position === end) continue;
          this.#remaining = 0;
          this.#digits = 0;
          this.#extensionBytes = 0;
          if ((HEX[buffer[position] as number] as number) > 15) {
            return this.#fail('ERR_BAD_CHUNK', position);
          }
          this.#state = AT_SIZE;
          continue;
        }
        case AT_SIZE: {
          const byte = buffer[position] as number;
          const digit = HEX[byte] as number;
          if (digit <= 15) {
            this.#digits++;
            this.#remaining = this.#remaining * 16 + digit;
            if (this.#digits > MAX_SIZE_DIGITS || this.#remaining > Number.MAX_SAFE_INTEGER) {
              return this.#fail('ERR_BAD_CHUNK', position);
            }
          } else if (byte === SEMICOLON) {
            this.#state = AT_EXTENSION;
          } else if (byte === CR) {
            this.#state = AT_SIZE_LF;
          } else if (this.#limits.isLenient && (byte === SP || byte === HTAB || byte === LF)) {
            this.#state = AT_SIZE_SPACE;
            continue;
          } else {
            return this.#fail('ERR_BAD_CHUNK', position);
          }
          position++;
          continue;
        }
        case AT_SIZE_SPACE: {
          const byte = buffer[position] as number;
          if (byte === LF) {
            this.#state = AT_SIZE_LF;
            continue;
          }
          if (byte === CR) {
            this.#state = AT_SIZE_LF;
          } else if (byte === SEMICOLON) {
            this.#state = AT_EXTENSION;
          } else if ((byte !== SP && byte !== HTAB) || !this.#mayExtend()) {
            return this.#fail('ERR_BAD_CHUNK', position);
          }
          position++;
          continue;
        }
        case AT_EXTENSION: {
          const byte = buffer[position] as number;
          if (this.#isBareLf(byte)) {
            this.#state = AT_SIZE_LF;
            continue;
          }
          if (byte === CR) {
            this.#state = AT_SIZE_LF;
          } else if (CHUNK_EXTENSION[byte] === 0 || !this.#mayExtend()) {
            return this.#fail('ERR_BAD_CHUNK', position);
          }
          position++;
          continue;
        }
        case AT_SIZE_LF: {
          if (buffer[position] !== LF) return this.#fail('ERR_BAD_CHUNK', position);
          position++;
          if (this.#remaining > 0) {
            this.#state = AT_DATA;
            continue;
          }
          this.#state = AT_TRAILER_START;
          if (!this.#hasGathered) continue;
          this.position = position;
          return CHUNK_DATA;
        }
        case AT_DATA: {
          const length = Math.min(end - position, this.#remaining);
          const isShort = length <= SHORT_RUN_BYTES;
          if (!isShort && this.#hasGathered) {
            this.position = position;
            return CHUNK_DATA;
          }
          this.#gather(buffer, position, length);
          this.#remaining -= length;
          if (this.#remaining === 0) this.#state = AT_DATA_CR;
          position += length;
          if (isShort) continue;
          this.position = position;
          return CHUNK_DATA;
        }
        case AT_DATA_CR: {
          this.#state = AT_DATA_LF;
          if (this.#isBareLf(buffer[position] as number)) continue;
          if (buffer[position] !== CR) return this.#fail('ERR_BAD_CHUNK', position);
          position++;
          continue;
        }
        case AT_DATA_LF: {
          if (buffer[position] !== LF) return this.#fail('ERR_BAD_CHUNK', position);
          position++;
          this.#state = AT_SIZE_START;
          continue;
        }
        case AT_TRAILER_START: {
          this.#state = AT_END_LF;
          if (this.#isBareLf(buffer[position] as number)) continue;
          if (buffer[position] === CR) position++;
          else this.#state = AT_TRAILER;
          continue;
        }
        case AT_END_LF: {
          if (buffer[position] !== LF) return this.#fail('ERR_BAD_CHUNK', position);
          this.#state = AT_DONE;
          this.position = position + 1;
          return CHUNK_DONE;
        }
        case AT_TRAILER:
          return this.#parseTrailer(buffer, position, end);
        case HAS_FAILED:
          this.position = position;
          return CHUNK_FAILED;
        default:
          this.position = position;
          return CHUNK_DONE;
      }
    }
    this.position = position;
    return this.#hasGathered ? CHUNK_DATA : CHUNK_MORE;
  }

  /** It stands for CR LF: the state after the CR takes it. */
  #isBareLf(byte: number): boolean {
    return byte === LF && this.#limits.isLenient;
  }

  /** Whether one more byte between a size and the end of its line is not too many. */
  #mayExtend(): boolean {
    return (
      ++this.#extensionBytes <= MAX_EXTENSION_BYTES &&
      ++this.#totalExtensionBytes <= MAX_TOTAL_EXTENSION_BYTES
    );
  }

  /** Moves a run up to those that were gathered; the first one stays where it is. */
  #gather(buffer: Uint8Array, start: number, length: number): void {
    if (this.#hasGathered) {
      buffer.copyWithin(this.dataEnd, start, start + length);
    } else {
      this.dataStart = start;
      this.dataEnd = start;
    }
    this.dataEnd += length;
  }

  /**
   * Chunks that are short, whole and without an extension, many at a time: state by state, one of one byte would cost more
   * than a kilobyte of a long one.
   * @returns the offset of the first byte that belongs to none.
   */
  #gatherShortChunks(buffer: Uint8Array, start: number, end: number): number {
    let position = start;
    let { dataStart, dataEnd } = this;
    for (;;) {
      let at = position;
      let size = 0;
      while (at < end) {
        const digit = HEX[buffer[at] as number] as number;
        if (digit > 15) break;
        size = size * 16 + digit;
        at++;
      }
      const isSize = size > 0 && size <= SHORT_RUN_BYTES && at - position <= MAX_SIZE_DIGITS;
      const from = at + 2;
      const to = from + size;
      if (
        !isSize ||
        to + 2 > end ||
        buffer[at] !== CR ||
        buffer[at + 1] !== LF ||
        buffer[to] !== CR ||
        buffer[to + 1] !== LF
      ) {
        break;
      }
      if (dataStart === dataEnd) {
        dataStart = from;
        dataEnd = to;
      } else if (size <= TINY_RUN_BYTES) {
        for (let byte = from; byte < to; byte++) buffer[dataEnd++] = buffer[byte] as number;
      } else {
        buffer.copyWithin(dataEnd, from, to);
        dataEnd += size;
      }
      position = to + 2;
    }
    this.dataStart = dataStart;
    this.dataEnd = dataEnd;
    return position;
  }

  /** Trailers are rare and small: they are gathered in a buffer of their own, bounded like a head. */
  #parseTrailer(buffer: Uint8Array, start: number, end: number): ChunkEvent {
    const parser = (this.#trailerParser ??= new HeadParser('trailer', this.#limits));
    const before = this.#trailerLength;
    const taken = Math.min(end - start, this.#limits.headBytes - before);
    let bytes = this.#trailerBytes ?? Buffer.allocUnsafe(1024);
    if (before + taken > bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(before + taken, bytes.length * 2));
      bytes.copy(grown, 0, 0, before);
      bytes = grown;
    }
    bytes.set(buffer.subarray(start, start + taken), before);
    this.#trailerBytes = bytes;
    this.#trailerLength = before + taken;
    const outcome = parser.parse(bytes, 0, this.#trailerLength);
    if (outcome === PARSE_FAILED) return this.#fail('ERR_BAD_TRAILER', start);
    if (outcome === PARSE_MORE) {
      this.position = start + taken;
      return CHUNK_MORE;
    }
    outcome satisfies typeof PARSE_DONE;
    this.#state = AT_DONE;
    this.position = start + (parser.length - before);
    this.trailer = parser;
    return CHUNK_DONE;
  }
}

/** The size line of a chunk of `length` bytes; the data and CR LF follow. */
export function chunkSizeLine(length: number): string {
  return `${length.toString(16)}\r\n`;
}

/** What ends a chunked body; `trailer` is whole field lines, or empty. */
export function lastChunk(trailer: string): string {
  return `0\r\n${trailer}\r\n`;
}
