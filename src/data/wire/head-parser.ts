/**
 * The strict, incremental parser of HTTP/1.1 heads (RFC 9112 §2–5), for requests, responses and trailer sections.
 *
 * It is fed the same head again and again, each time with more bytes, and goes on where it stopped. Every decision
 * depends on the bytes before it alone, so any split of the input gives the same outcome at the same byte. It keeps
 * offsets; the few strings that are needed are cut from the text of the head by whoever holds the bytes.
 *
 * All offsets are relative to the first byte of the head, so the bytes may move between two calls.
 */
import type { ErrorCode } from '../../errors.ts';
import { COLON, CR, FIELD_VALUE, HTAB, LF, SP, TARGET, TOKEN, TOKEN_UNDERSCORE } from './bytes.ts';
import { identifyField } from './fields.ts';

export const PARSE_MORE = 0;
export const PARSE_DONE = 1;
export const PARSE_FAILED = 2;
export type ParseOutcome = typeof PARSE_MORE | typeof PARSE_DONE | typeof PARSE_FAILED;

export interface HeadLimits {
  /** Longest request line, without its CR LF. */
  readonly requestLineBytes: number;
  /** Whole head, blank line included. */
  readonly headBytes: number;
  readonly fields: number;
}

const MAX_METHOD_BYTES = 32;

const AT_START = 0;
const AT_METHOD = 1;
const AT_TARGET = 2;
const AT_VERSION = 3;
const AT_REQUEST_LINE_LF = 4;
const AT_STATUS_VERSION = 5;
const AT_STATUS_CODE = 6;
const AT_REASON_SPACE = 7;
const AT_REASON = 8;
const AT_STATUS_LINE_LF = 9;
const AT_FIELD = 10;
const AT_NAME = 11;
const AT_VALUE_START = 12;
const AT_VALUE = 13;
const AT_VALUE_LF = 14;
const AT_END_LF = 15;
const AT_START_LF = 16;

/** The form of a version; the digits stand for any digit. */
const VERSION_BYTES = Buffer.from('HTTP/1.1', 'latin1');
const VERSION_MAJOR_AT = 5;
const VERSION_MINOR_AT = 7;

export type HeadKind = 'request' | 'response' | 'trailer';

/** Start, end of name, start, end of value: what is kept of each field. */
const SPAN = 4;

export class HeadParser {
  /** Set when `parse` answered PARSE_FAILED. Response errors carry client codes too: the relay maps them to 502. */
  error: ErrorCode | null = null;
  /** Bytes of the whole head, blank line included; set when done. */
  length = 0;
  /** Offset of the first byte of the first line: past an empty line that came before a request. */
  lineStart = 0;
  /** 0 before the whole method has come. */
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  /** HTTP/1.`minor`: 0 or 1; a higher one was taken for 1. */
  versionMinor = 0;
  /** The line says 1.1, as ours do: it may go on as it came. */
  saysVersion11 = false;
  status = 0;
  reasonStart = 0;
  reasonEnd = 0;
  /** Offset of the first field line. */
  fieldsStart = 0;
  fieldCount = 0;
  /** Known-field id of each field, see fields.ts. */
  readonly ids: Uint8Array;

  readonly #kind: HeadKind;
  readonly #limits: HeadLimits;
  readonly #spans: Int32Array;
  #state: number;
  #offset = 0;
  #versionMajor = 0;
  #mark = 0;
  #nameFlags = 0;
  #text: string | null = null;

  constructor(kind: HeadKind, limits: HeadLimits) {
    this.#kind = kind;
    this.#limits = limits;
    this.#spans = new Int32Array((limits.fields + 1) * SPAN);
    this.ids = new Uint8Array(limits.fields + 1);
    this.#state = kind === 'trailer' ? AT_FIELD : AT_START;
  }

  get limits(): HeadLimits {
    return this.#limits;
  }

  reset(): void {
    this.error = null;
    this.length = 0;
    this.lineStart = 0;
    this.methodEnd = 0;
    this.status = 0;
    this.fieldsStart = 0;
    this.fieldCount = 0;
    this.#state = this.#kind === 'trailer' ? AT_FIELD : AT_START;
    this.#offset = 0;
    this.#versionMajor = 0;
    this.versionMinor = 0;
    this.#mark = 0;
    this.#nameFlags = 0;
    this.#text = null;
  }

  /**
   * The whole head as Latin-1 text, once it is done: decoded once and cut where it is needed, by the offsets that are kept
   * here, which is cheaper than decoding each part.
   */
  text(buffer: Buffer, base: number): string {
    this.#text ??= buffer.latin1Slice(base, base + this.length);
    return this.#text;
  }

  /** Whether not one byte of a head has been taken (a leading empty line does not count). */
  get isUntouched(): boolean {
    return this.#state === AT_START;
  }

  nameStart(field: number): number {
    return this.#spans[field * SPAN] as number;
  }
  nameEnd(field: number): number {
    return this.#spans[field * SPAN + 1] as number;
  }
  valueStart(field: number): number {
    return this.#spans[field * SPAN + 2] as number;
  }
  valueEnd(field: number): number {
    return this.#spans[field * SPAN + 3] as number;
  }
  /** Offset of the line after this field's: the next field's, or the blank line. */
  fieldLineEnd(field: number): number {
    return this.#spans[(field + 1) * SPAN] as number;
  }

  #fail(error: ErrorCode): ParseOutcome {
    this.error = error;
    return PARSE_FAILED;
  }

  /**
   * Goes on parsing the head that starts at `buffer[base]` and of which `buffer[base, end)` has arrived.
   * Never throws, never reads past `end`.
   */
  parse(buffer: Uint8Array, base: number, end: number): ParseOutcome {
    let position = base + this.#offset;
    let state = this.#state;
    if (state < AT_FIELD || state === AT_START_LF) {
      const outcome = this.#parseFirstLine(buffer, base, end);
      if (outcome !== PARSE_DONE) return outcome;
      position = base + this.#offset;
      state = this.#state;
    }

    const hardEnd = base + this.#limits.headBytes;
    const stop = end < hardEnd ? end : hardEnd;
    const spans = this.#spans;
    while (position < stop) {
      const byte = buffer[position] as number;
      switch (state) {
        case AT_FIELD: {
          if (byte === CR) {
            spans[this.fieldCount * SPAN] = position - base;
            position++;
            state = AT_END_LF;
            continue;
          }
          if (this.fieldCount >= this.#limits.fields) return this.#fail('ERR_HEAD_TOO_LARGE');
          const flags = TOKEN[byte] as number;
          if (flags === 0) {
            if (byte === LF) return this.#fail('ERR_BAD_LINE_END');
            const isFold = (byte === SP || byte === HTAB) && this.fieldCount > 0;
            return this.#fail(isFold ? 'ERR_OBS_FOLD' : 'ERR_BAD_FIELD_NAME');
          }
          spans[this.fieldCount * SPAN] = position - base;
          this.#nameFlags = flags;
          position++;
          state = AT_NAME;
          continue;
        }
        case AT_NAME: {
          let flags = this.#nameFlags;
          let token = TOKEN[byte] as number;
          while (token !== 0) {
            flags |= token;
            position++;
            if (position === stop) break;
            token = TOKEN[buffer[position] as number] as number;
          }
          this.#nameFlags = flags;
          if (position === stop) continue;
          // A space before the colon, a line without one, or any other byte: RFC 9112 §5.1.
          if (buffer[position] !== COLON) return this.#fail('ERR_BAD_FIELD_NAME');
          const start = spans[this.fieldCount * SPAN] as number;
          spans[this.fieldCount * SPAN + 1] = position - base;
          this.ids[this.fieldCount] = identifyField(
            buffer,
            base + start,
            position,
            (flags & TOKEN_UNDERSCORE) !== 0,
          );
          position++;
          state = AT_VALUE_START;
          continue;
        }
        case AT_VALUE_START: {
          if (byte === SP || byte === HTAB) {
            position++;
            continue;
          }
          spans[this.fieldCount * SPAN + 2] = position - base;
          state = AT_VALUE;
          continue;
        }
        case AT_VALUE: {
          while (position < stop && FIELD_VALUE[buffer[position] as number] === 1) position++;
          if (position === stop) continue;
          const terminator = buffer[position] as number;
          if (terminator !== CR) {
            return this.#fail(terminator === LF ? 'ERR_BAD_LINE_END' : 'ERR_BAD_FIELD_VALUE');
          }
          let valueEnd = position;
          const valueStart = base + (spans[this.fieldCount * SPAN + 2] as number);
          while (valueEnd > valueStart) {
            const last = buffer[valueEnd - 1];
            if (last !== SP && last !== HTAB) break;
            valueEnd--;
          }
          spans[this.fieldCount * SPAN + 3] = valueEnd - base;
          position++;
          state = AT_VALUE_LF;
          continue;
        }
        case AT_VALUE_LF: {
          if (byte !== LF) return this.#fail('ERR_BAD_LINE_END');
          this.fieldCount++;
          position++;
          state = AT_FIELD;
          continue;
        }
        default: {
          if (byte !== LF) return this.#fail('ERR_BAD_LINE_END');
          this.length = position + 1 - base;
          this.#offset = this.length;
          return PARSE_DONE;
        }
      }
    }
    if (position >= hardEnd) return this.#fail('ERR_HEAD_TOO_LARGE');
    this.#offset = position - base;
    this.#state = state;
    return PARSE_MORE;
  }

  /** PARSE_DONE here means: the first line is over, the fields begin at `#offset`. */
  #parseFirstLine(buffer: Uint8Array, base: number, end: number): ParseOutcome {
    const isRequest = this.#kind === 'request';
    let position = base + this.#offset;
    let state = this.#state;
    // The line's own CR LF does not count against its limit, nor does an empty line before it.
    const lineLimit = isRequest ? this.#limits.requestLineBytes + 2 : this.#limits.headBytes;
    let hardEnd = base + this.lineStart + lineLimit;
    let stop = end < hardEnd ? end : hardEnd;
    while (position < stop) {
      const byte = buffer[position] as number;
      switch (state) {
        case AT_START: {
          if (isRequest && byte === CR && this.lineStart === 0) {
            // RFC 9112 §2.2: a server should ignore an empty line before the request line. One, not any number.
            position++;
            state = AT_START_LF;
            continue;
          }
          this.lineStart = position - base;
          this.#mark = this.lineStart;
          hardEnd = position + lineLimit;
          stop = end < hardEnd ? end : hardEnd;
          state = isRequest ? AT_METHOD : AT_STATUS_VERSION;
          continue;
        }
        case AT_START_LF: {
          if (byte !== LF) return this.#fail('ERR_BAD_LINE_END');
          position++;
          this.lineStart = position - base;
          state = AT_START;
          continue;
        }
        case AT_METHOD: {
          const start = base + this.lineStart;
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
            this.saysVersion11 = this.versionMinor === 1;
            if (this.versionMinor > 1) this.versionMinor = 1;
            const isSupported = this.#versionMajor === 1;
            if (state === AT_VERSION) {
              if (byte !== CR) return this.#fail('ERR_BAD_VERSION');
              if (!isSupported) return this.#fail('ERR_VERSION_UNSUPPORTED');
              state = AT_REQUEST_LINE_LF;
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
          if (byte === CR) {
            position++;
            state = AT_STATUS_LINE_LF;
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
          if (buffer[position] !== CR) return this.#fail('ERR_BAD_LINE_END');
          this.reasonEnd = position - base;
          position++;
          state = AT_STATUS_LINE_LF;
          continue;
        }
        default: {
          if (byte !== LF) return this.#fail('ERR_BAD_LINE_END');
          position++;
          this.fieldsStart = position - base;
          this.#offset = this.fieldsStart;
          this.#state = AT_FIELD;
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
