/**
 * The first line of a head (RFC 9112 §3, §4): a request line or a status line, parsed incrementally. The part of the head
 * parser that knows them; the fields behind it are parsed in head-parser.ts, where the rules of both are told.
 *
 * All offsets are relative to the first byte of the head.
 */
import type { ErrorCode } from '../../errors.ts';
import { CR, FIELD_VALUE, LF, SP, TARGET, TOKEN } from './bytes.ts';

export const PARSE_MORE = 0;
export const PARSE_DONE = 1;
export const PARSE_FAILED = 2;
export type ParseOutcome = typeof PARSE_MORE | typeof PARSE_DONE | typeof PARSE_FAILED;

export type HeadKind = 'request' | 'response' | 'trailer';

export interface FirstLineLimits {
  /** Longest request line, without its CR LF. */
  readonly requestLineBytes: number;
  /** Whole head, blank line included. */
  readonly headBytes: number;
  /** Of responses only: a line may end with a bare LF. See `HeadLimits`. */
  readonly isLenient: boolean;
}

const MAX_METHOD_BYTES = 32;

const AT_START = 0;
const AT_START_LF = 1;
const AT_METHOD = 2;
const AT_TARGET = 3;
const AT_VERSION = 4;
const AT_STATUS_VERSION = 5;
const AT_STATUS_CODE = 6;
const AT_REASON_SPACE = 7;
const AT_REASON = 8;
const AT_LF = 9;
const IS_DONE = 10;

/** The form of a version; the digits stand for any digit. */
const VERSION_BYTES = Buffer.from('HTTP/1.1', 'latin1');
const VERSION_MAJOR_AT = 5;
const VERSION_MINOR_AT = 7;

export class FirstLine {
  error: ErrorCode | null = null;
  /** Offset of its first byte: past an empty line that came before a request. */
  start = 0;
  /** Offset of the first field line; 0 before the whole line has come. */
  end = 0;
  /** 0 before the whole method has come. */
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  /** HTTP/1.`minor`: 0 or 1; a higher one was taken for 1. */
  versionMinor = 0;
  /** It is as we would write it, in our own version: it may go on as it came. */
  isOurs = false;
  status = 0;
  reasonStart = 0;
  reasonEnd = 0;

  readonly #kind: HeadKind;
  readonly #limits: FirstLineLimits;
  #state: number;
  #offset = 0;
  #versionMajor = 0;
  #mark = 0;

  constructor(kind: HeadKind, limits: FirstLineLimits) {
    this.#kind = kind;
    this.#limits = limits;
    this.#state = kind === 'trailer' ? IS_DONE : AT_START;
  }

  reset(): void {
    this.error = null;
    this.start = 0;
    this.end = 0;
    this.methodEnd = 0;
    this.versionMinor = 0;
    this.status = 0;
    this.#state = this.#kind === 'trailer' ? IS_DONE : AT_START;
    this.#offset = 0;
    this.#versionMajor = 0;
    this.#mark = 0;
  }

  /** Whether not one byte of it has been taken (a leading empty line does not count). */
  get isUntouched(): boolean {
    return this.#state === AT_START;
  }

  get isDone(): boolean {
    return this.#state === IS_DONE;
  }

  #fail(error: ErrorCode): ParseOutcome {
    this.error = error;
    return PARSE_FAILED;
  }

  /** Goes on with `buffer[base, end)`: PARSE_DONE means that the fields begin at `end`. As `HeadParser.parse`. */
  parse(buffer: Uint8Array, base: number, end: number): ParseOutcome {
    const isRequest = this.#kind === 'request';
    let position = base + this.#offset;
    let state = this.#state;
    // The line's own CR LF does not count against its limit, nor does an empty line before it.
    const lineLimit = isRequest ? this.#limits.requestLineBytes + 2 : this.#limits.headBytes;
    let hardEnd = base + this.start + lineLimit;
    let stop = end < hardEnd ? end : hardEnd;
    while (position < stop) {
      const byte = buffer[position] as number;
      switch (state) {
        case AT_START: {
          if (isRequest && byte === CR && this.start === 0) {
            // RFC 9112 §2.2: a server should ignore an empty line before the request line. One, not any number.
            position++;
            state = AT_START_LF;
            continue;
          }
          this.start = position - base;
          this.#mark = this.start;
          hardEnd = position + lineLimit;
          stop = end < hardEnd ? end : hardEnd;
          state = isRequest ? AT_METHOD : AT_STATUS_VERSION;
          continue;
        }
        case AT_START_LF: {
          if (byte !== LF) return this.#fail('ERR_BAD_LINE_END');
          position++;
          this.start = position - base;
          state = AT_START;
          continue;
        }
        case AT_METHOD: {
          const start = base + this.start;
          while (position < stop && TOKEN[buffer[position] as number] !== 0) {
            if (position - start === MAX_METHOD_BYTES) return this.#fail('ERR_BAD_METHOD');
            position++;
          }
          if (position === stop) continue;
          if (buffer[position] !== SP || position === start) {
            const isLineEnd = buffer[position] === CR || buffer[position] === LF;
            return this.#fail(isLineEnd ? 'ERR_BAD_REQUEST_LINE' : 'ERR_BAD_METHOD');
          }
          this.methodEnd = position - base;
          position++;
          this.targetStart = position - base;
          state = AT_TARGET;
          continue;
        }
        case AT_TARGET: {
          while (position < stop && TARGET[buffer[position] as number] === 1) position++;
          if (position === stop) continue;
          if (buffer[position] !== SP || position - base === this.targetStart) {
            const isLineEnd = buffer[position] === CR || buffer[position] === LF;
            return this.#fail(isLineEnd ? 'ERR_BAD_REQUEST_LINE' : 'ERR_BAD_TARGET');
          }
          this.targetEnd = position - base;
          position++;
          this.#mark = position - base;
          state = AT_VERSION;
          continue;
        }
        case AT_VERSION:
        case AT_STATUS_VERSION: {
          const at = position - base - this.#mark;
          if (at === VERSION_BYTES.length) {
            // RFC 9110 §6.2: a minor version that is not known is the highest one that is.
            this.isOurs = this.versionMinor === 1;
            if (this.versionMinor > 1) this.versionMinor = 1;
            const isSupported = this.#versionMajor === 1;
            if (state === AT_VERSION) {
              if (byte !== CR) return this.#fail('ERR_BAD_VERSION');
              if (!isSupported) return this.#fail('ERR_VERSION_UNSUPPORTED');
              state = AT_LF;
            } else {
              if (byte !== SP) return this.#fail('ERR_BAD_REQUEST_LINE');
              if (!isSupported) return this.#fail('ERR_VERSION_UNSUPPORTED');
              state = AT_STATUS_CODE;
              this.#mark = position + 1 - base;
            }
            position++;
            continue;
          }
          if (at === VERSION_MAJOR_AT || at === VERSION_MINOR_AT) {
            const digit = byte - 0x30;
            if (digit < 0 || digit > 9) return this.#fail('ERR_BAD_VERSION');
            if (at === VERSION_MAJOR_AT) this.#versionMajor = digit;
            else this.versionMinor = digit;
          } else if (byte !== VERSION_BYTES[at]) {
            return this.#fail('ERR_BAD_VERSION');
          }
          position++;
          continue;
        }
        case AT_STATUS_CODE: {
          const digit = byte - 0x30;
          if (digit < 0 || digit > 9) return this.#fail('ERR_BAD_REQUEST_LINE');
          this.status = this.status * 10 + digit;
          position++;
          if (position - base - this.#mark < 3) continue;
          // A status under 100 would pass for "no status yet" further on.
          if (this.status < 100) return this.#fail('ERR_BAD_REQUEST_LINE');
          this.reasonStart = position - base;
          this.reasonEnd = this.reasonStart;
          state = AT_REASON_SPACE;
          continue;
        }
        case AT_REASON_SPACE: {
          // RFC 9112 §4 wants the space even before an empty reason; many servers leave it out, harmlessly.
          if (byte === CR || (byte === LF && this.#limits.isLenient)) {
            this.isOurs = false;
            if (byte === CR) position++;
            state = AT_LF;
            continue;
          }
          if (byte !== SP) return this.#fail('ERR_BAD_REQUEST_LINE');
          position++;
          this.reasonStart = position - base;
          state = AT_REASON;
          continue;
        }
        case AT_REASON: {
          while (position < stop && FIELD_VALUE[buffer[position] as number] === 1) position++;
          if (position === stop) continue;
          this.reasonEnd = position - base;
          if (this.reasonEnd === this.reasonStart) this.isOurs = false;
          state = AT_LF;
          if (buffer[position] === CR) {
            position++;
          } else if (buffer[position] === LF && this.#limits.isLenient) {
            this.isOurs = false;
          } else {
            return this.#fail('ERR_BAD_LINE_END');
          }
          continue;
        }
        default: {
          if (byte !== LF) return this.#fail('ERR_BAD_LINE_END');
          position++;
          this.end = position - base;
          this.#state = IS_DONE;
          return PARSE_DONE;
        }
      }
    }
    this.#offset = position - base;
    this.#state = state;
    if (position === hardEnd) {
      return this.#fail(isRequest ? 'ERR_TARGET_TOO_LONG' : 'ERR_HEAD_TOO_LARGE');
    }
    return PARSE_MORE;
  }
}
