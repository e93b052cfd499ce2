/**
 * Puts one line of ASCII together, byte by byte and in place: a log line has some forty parts, and a string of them costs
 * four times as much, to join and to copy out again.
 */

/** The longest text that is written whole. Escaped it is six times as long at worst. */
const MAX_TEXT = 4096;
const LONGEST_ESCAPE = 6;
/** `…` behind a text that was cut. */
const CUT_MARK = '\u2026';

/** Printable ASCII but for the quote and the backslash: what stands in a JSON text as it is. */
const IS_PLAIN = new Uint8Array(128);
for (let code = 0x20; code < 0x7f; code++) IS_PLAIN[code] = 1;
IS_PLAIN[0x22] = 0;
IS_PLAIN[0x5c] = 0;

const ZERO = 0x30;
const DOT = 0x2e;
const QUOTE = 0x22;
/** Whole numbers below it fit into 32 bits, where arithmetic is cheap. */
const INT_LIMIT = 0x7fff_ffff;

/** Text of the program's own, ready to be written. ASCII. */
export function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

const NULL = asciiBytes('null');

/** Most bytes that `text` can take, quotes included. */
export function mostBytes(text: string | null): number {
  return text === null ? NULL.length : 2 + LONGEST_ESCAPE * (Math.min(text.length, MAX_TEXT) + 1);
}

export class LineWriter {
  /** Where the next byte goes. The caller has made sure that there is room. */
  position = 0;
  #bytes: Uint8Array = new Uint8Array(0);

  begin(bytes: Uint8Array, position: number): void {
    this.#bytes = bytes;
    this.position = position;
  }

  /** In the place of a byte that has been written. */
  put(position: number, byte: number): void {
    this.#bytes[position] = byte;
  }

  constant(constant: Uint8Array): void {
    const bytes = this.#bytes;
    const position = this.position;
    for (let index = 0; index < constant.length; index++) {
      bytes[position + index] = constant[index] as number;
    }
    this.position = position + constant.length;
  }

  /** As `constant`, for a long one: past some thirty bytes a call costs less than a loop. */
  longConstant(constant: Uint8Array): void {
    this.#bytes.set(constant, this.position);
    this.position += constant.length;
  }

  /** ASCII that is known to need no escape. */
  plain(text: string): void {
    const bytes = this.#bytes;
    const position = this.position;
    for (let index = 0; index < text.length; index++) {
      bytes[position + index] = text.charCodeAt(index);
    }
    this.position = position + text.length;
  }

  /** A JSON text in ASCII, or `null`: whatever a client sends, it can neither forge a line nor break a terminal. */
  quoted(text: string | null): void {
    if (text === null) {
      this.constant(NULL);
      return;
    }
    const bytes = this.#bytes;
    const start = this.position + 1;
    const { length } = text;
    let isPlain = length <= MAX_TEXT;
    for (let index = 0; isPlain && index < length; index++) {
      const code = text.charCodeAt(index);
      bytes[start + index] = code;
      isPlain = code < 0x80 && IS_PLAIN[code] === 1;
    }
    if (!isPlain) {
      this.plain(escaped(length > MAX_TEXT ? text.slice(0, MAX_TEXT) + CUT_MARK : text));
      return;
    }
    bytes[start - 1] = QUOTE;
    bytes[start + length] = QUOTE;
    this.position = start + length + 1;
  }

  /** A whole number ≥ 0. */
  integer(value: number): void {
    if (value >= INT_LIMIT) {
      this.plain(String(value));
      return;
    }
    let digits = 1;
    for (let bound = 10; digits < 10 && value >= bound; bound *= 10) digits++;
    this.#digits(value, digits);
  }

  /** Milliseconds to the microsecond: `12.034`. */
  milliseconds(ms: number): void {
    const microseconds = Math.round(ms * 1000);
    const whole = Math.floor(microseconds / 1000);
    this.integer(whole);
    this.#bytes[this.position++] = DOT;
    this.#digits(microseconds - whole * 1000, 3);
  }

  #digits(value: number, digits: number): void {
    const bytes = this.#bytes;
    const end = this.position + digits;
    let rest = value | 0;
    for (let index = end - 1; index >= this.position; index--) {
      const next = (rest / 10) | 0;
      bytes[index] = ZERO + rest - next * 10;
      rest = next;
    }
    this.position = end;
  }

  /** Exactly three digits: the milliseconds of a time. */
  threeDigits(value: number): void {
    this.#digits(value, 3);
  }
}

function escaped(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
