/**
 * The strict, incremental parser of HTTP/1.1 heads (RFC 9112 §2–5), for requests, responses and trailer sections.
 *
 * It is fed the same head again and again, each time with more bytes, and goes on where it stopped. Every decision
 * depends on the bytes before it alone, so any split of the input gives the same outcome at the same byte. It keeps
 * offsets; the few strings that are needed are cut from the text of the head, which it is a view of (head.ts).
 *
 * All offsets are relative to the first byte of the head, so the bytes may move between two calls.
 */
import type { ErrorCode } from '../../errors.ts';
import { COLON, CR, FIELD_VALUE, HTAB, LF, LOWER, SP, TOKEN, TOKEN_UNDERSCORE } from './bytes.ts';
import { identifyField } from './fields.ts';
import {
  FirstLine,
  type FirstLineLimits,
  type HeadKind,
  PARSE_DONE,
  PARSE_FAILED,
  PARSE_MORE,
  type ParseOutcome,
} from './first-line.ts';
import type { RequestHead, ResponseHead } from './head.ts';

/**
 * `isLenient` is for the responses of old devices, and what it lets through never leaves in that form: a bare LF for CR LF,
 * spaces behind the size of a chunk, and a Content-Length beside chunks (RFC 9112 §2.2, §6.3, §7.1).
 */
export interface HeadLimits extends FirstLineLimits {
  readonly fields: number;
}

const AT_FIELD = 0;
const AT_NAME = 1;
const AT_VALUE_START = 2;
const AT_VALUE = 3;
const AT_VALUE_LF = 4;
const AT_END_LF = 5;

const NO_BYTES = Buffer.alloc(0);

const COMMON_METHODS: readonly string[] = [
  'GET',
  'POST',
  'HEAD',
  'PUT',
  'DELETE',
  'PATCH',
  'OPTIONS',
];

/** Start, end of name, start, end of value: what is kept of each field. */
const SPAN = 4;

export class HeadParser implements RequestHead, ResponseHead {
  /** Set when `parse` answered PARSE_FAILED. Response errors carry client codes too: the relay maps them to 502. */
  error: ErrorCode | null = null;
  /** Bytes of the whole head, blank line included; set when done. */
  length = 0;
  fieldCount = 0;

  readonly #line: FirstLine;
  readonly #limits: HeadLimits;
  readonly #spans: Int32Array;
  readonly #ids: Uint8Array;
  #state = AT_FIELD;
  #offset = 0;
  #nameFlags = 0;
  /** A field line has ended without a CR: none of them goes out as it came. */
  #hasBareLf = false;
  /** Where the head lies: the caller's bytes, let go of at `reset`. */
  #bytes: Buffer = NO_BYTES;
  #base = 0;
  #text: string | null = null;

  constructor(kind: HeadKind, limits: HeadLimits) {
    this.#line = new FirstLine(kind, limits);
    this.#limits = limits;
    this.#spans = new Int32Array((limits.fields + 1) * SPAN);
    this.#ids = new Uint8Array(limits.fields + 1);
  }

  get limits(): HeadLimits {
    return this.#limits;
  }

  reset(): void {
    this.error = null;
    this.length = 0;
    this.fieldCount = 0;
    this.#line.reset();
    this.#state = AT_FIELD;
    this.#offset = 0;
    this.#nameFlags = 0;
    this.#hasBareLf = false;
    this.#bytes = NO_BYTES;
    this.#base = 0;
    this.#text = null;
  }

  /** Whether not one byte of a head has been taken (a leading empty line does not count). */
  get isUntouched(): boolean {
    return this.#line.isUntouched;
  }

  /** The whole first line has come. */
  get hasFirstLine(): boolean {
    return this.#line.end > 0;
  }

  /** The head that `parse` wanted more of begins at `buffer[base]` now: to read what has come of it. */
  lieIn(buffer: Buffer, base: number): void {
    this.#bytes = buffer;
    this.#base = base;
  }

  // ── The head, once it is done; its first line also where the rest has failed ────────────────────────────────────

  get versionMinor(): number {
    return this.#line.versionMinor;
  }

  get keepsFirstLine(): boolean {
    return this.#line.isOurs;
  }

  /** Nearly all requests have a method whose text exists already. */
  get method(): string {
    const { start, methodEnd } = this.#line;
    const length = methodEnd - start;
    for (let index = 0; index < COMMON_METHODS.length; index++) {
      const method = COMMON_METHODS[index] as string;
      if (method.length === length && this.#isText(start, method)) return method;
    }
    return methodEnd === 0 ? '' : this.#cut(start, methodEnd);
  }

  get target(): string {
    return this.#cut(this.#line.targetStart, this.#line.targetEnd);
  }

  get status(): number {
    return this.#line.status;
  }

  get reason(): string {
    return this.#cut(this.#line.reasonStart, this.#line.reasonEnd);
  }

  id(field: number): number {
    return this.#ids[field] as number;
  }

  name(field: number): string {
    const at = field * SPAN;
    return this.#cut(this.#spans[at] as number, this.#spans[at + 1] as number);
  }

  value(field: number): string {
    const at = field * SPAN;
    return this.#cut(this.#spans[at + 2] as number, this.#spans[at + 3] as number);
  }

  valueLength(field: number): number {
    const at = field * SPAN;
    return (this.#spans[at + 3] as number) - (this.#spans[at + 2] as number);
  }

  valueCode(field: number, index: number): number {
    return this.#bytes[this.#base + (this.#spans[field * SPAN + 2] as number) + index] as number;
  }

  isValue(field: number, text: string): boolean {
    return (
      this.valueLength(field) === text.length &&
      this.#isText(this.#spans[field * SPAN + 2] as number, text)
    );
  }

  isNamed(field: number, name: string): boolean {
    const at = field * SPAN;
    const start = this.#spans[at] as number;
    if ((this.#spans[at + 1] as number) - start !== name.length) return false;
    const from = this.#base + start;
    for (let index = 0; index < name.length; index++) {
      if (LOWER[this.#bytes[from + index] as number] !== name.charCodeAt(index)) return false;
    }
    return true;
  }

  /** Raw lines in one piece: order, case, duplicates and Latin-1 bytes survive, and nearly all heads are a slice or two. */
  lines(from: number, to: number): string {
    if (this.#hasBareLf) return this.#rewritten(from, to);
    const start = from < 0 ? this.#line.start : (this.#spans[from * SPAN] as number);
    return this.#cut(start, this.#spans[to * SPAN] as number);
  }

  #rewritten(from: number, to: number): string {
    let lines = from < 0 ? this.#cut(this.#line.start, this.#line.end) : '';
    for (let field = Math.max(0, from); field < to; field++) {
      lines += `${this.name(field)}: ${this.value(field)}\r\n`;
    }
    return lines;
  }

  #isText(start: number, text: string): boolean {
    const from = this.#base + start;
    for (let index = 0; index < text.length; index++) {
      if (this.#bytes[from + index] !== text.charCodeAt(index)) return false;
    }
    return true;
  }

  /** A head that is done is decoded once and cut where it is needed, which is cheaper than decoding each part. */
  #cut(start: number, end: number): string {
    if (this.#text === null) {
      if (this.length === 0) return this.#bytes.latin1Slice(this.#base + start, this.#base + end);
      this.#text = this.#bytes.latin1Slice(this.#base, this.#base + this.length);
    }
    return this.#text.slice(start, end);
  }

  // ── Parsing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #fail(error: ErrorCode): ParseOutcome {
    this.error = error;
    return PARSE_FAILED;
  }

  /**
   * Goes on parsing the head that starts at `buffer[base]` and of which `buffer[base, end)` has arrived.
   * Never throws, never reads past `end`. Done or failed, the head can be read as long as the bytes stay.
   */
  parse(buffer: Buffer, base: number, end: number): ParseOutcome {
    const outcome = this.#parse(buffer, base, end);
    if (outcome !== PARSE_MORE) this.lieIn(buffer, base);
    return outcome;
  }

  #parse(buffer: Buffer, base: number, end: number): ParseOutcome {
    const line = this.#line;
    if (!line.isDone) {
      const outcome = line.parse(buffer, base, end);
      if (outcome === PARSE_FAILED) this.error = line.error;
      if (outcome !== PARSE_DONE) return outcome;
      this.#offset = line.end;
    }
    let position = base + this.#offset;
    let state = this.#state;

    const hardEnd = base + this.#limits.headBytes;
    const stop = end < hardEnd ? end : hardEnd;
    const spans = this.#spans;
    while (position < stop) {
      const byte = buffer[position] as number;
      switch (state) {
        case AT_FIELD: {
          if (byte === CR || (byte === LF && this.#limits.isLenient)) {
            spans[this.fieldCount * SPAN] = position - base;
            if (byte === CR) position++;
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
          this.#ids[this.fieldCount] = identifyField(
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
          const isBareLf = terminator === LF && this.#limits.isLenient;
          if (terminator !== CR && !isBareLf) {
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
          if (isBareLf) this.#hasBareLf = true;
          else position++;
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
}
