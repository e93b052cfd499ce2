/**
 * Whether a header field or a query parameter holds what a route asks for. Values are copied to one place in memory and
 * compared there, bytes with bytes, so no strings are made.
 *
 * A query is read as `application/x-www-form-urlencoded`: `+` is a space, triplets are decoded in names and values, so that
 * no other spelling passes a route by.
 */
import type { FieldMatch, TextMatch } from '../../snapshot/route.ts';
import { HEX } from '../wire/bytes.ts';
import { FIELD_UPGRADE, idOfName } from '../wire/fields.ts';
import { passesOn } from '../wire/forward-request.ts';
import type { Head } from '../wire/head.ts';
import type { RequestFacts } from '../wire/request.ts';

const PERCENT = 0x25;
const AMPERSAND = 0x26;
const PLUS = 0x2b;
const EQUALS = 0x3d;
const SPACE = 0x20;

// Scratch space of one call; a thread runs one call at a time.
let bytes = Buffer.alloc(1024);
let length = 0;

function makeRoom(size: number): void {
  if (size > bytes.length) bytes = Buffer.alloc(2 * size);
  length = 0;
}

/**
 * Of the fields that the backend will see: not of those that are for one hop only, and of what a proxy says (X-Forwarded-Proto)
 * only if it is a trusted one. Else a client could choose its route by a field that nobody believes.
 */
export class HeaderTest {
  readonly #name: string;
  readonly #id: number;
  readonly #value: TextMatch;
  readonly #test: TextTest;

  constructor({ name, value }: FieldMatch) {
    this.#name = name;
    this.#id = idOfName(name);
    this.#value = this.#id === FIELD_UPGRADE ? inLowerCase(value) : value;
    this.#test = new TextTest(this.#value, 'latin1');
  }

  holds(facts: RequestFacts, head: Head, isTrusted: boolean): boolean {
    if (this.#id === FIELD_UPGRADE) return this.#holdsForUpgrade(facts.upgrade);
    if (!passesOn(this.#id, facts, isTrusted)) return false;
    if (facts.nominated !== null && facts.nominated.has(this.#name)) return false;
    for (let field = 0; field < head.fieldCount; field++) {
      if (head.isNamed(field, this.#name) && this.#holdsFor(head, field)) return true;
    }
    return false;
  }

  /** For one hop, but made anew for the next: of the protocols that were asked for, those that may be had. */
  #holdsForUpgrade(protocols: string): boolean {
    if (protocols === '') return false;
    makeRoom(protocols.length);
    for (; length < protocols.length; length++) bytes[length] = protocols.charCodeAt(length);
    return this.#test.holds();
  }

  #holdsFor(head: Head, field: number): boolean {
    if (this.#value.kind === 'present') return true;
    if (this.#value.kind === 'exact') return head.isValue(field, this.#value.text);
    const size = head.valueLength(field);
    makeRoom(size);
    for (; length < size; length++) bytes[length] = head.valueCode(field, length);
    return this.#test.holds();
  }
}

/** Of protocols, it does not count (RFC 9110 §7.8). */
function inLowerCase(value: TextMatch): TextMatch {
  if (value.kind === 'present') return value;
  if (value.kind === 'exact') return { kind: 'exact', text: value.text.toLowerCase() };
  const { prefix, suffix, contains } = value;
  return {
    kind: 'parts',
    prefix: prefix.toLowerCase(),
    suffix: suffix.toLowerCase(),
    contains: contains.toLowerCase(),
  };
}

export class QueryTest {
  readonly #name: TextTest;
  readonly #value: TextTest;

  constructor({ name, value }: FieldMatch) {
    this.#name = new TextTest({ kind: 'exact', text: name }, 'utf8');
    this.#value = new TextTest(value, 'utf8');
  }

  /** @param path in origin form with its query. */
  holds(path: string): boolean {
    let start = path.indexOf('?') + 1;
    if (start === 0) return false;
    while (start < path.length) {
      let nameEnd = -1;
      let end = start;
      for (; end < path.length; end++) {
        const code = path.charCodeAt(end);
        if (code === AMPERSAND) break;
        if (code === EQUALS && nameEnd === -1) nameEnd = end;
      }
      if (nameEnd === -1) nameEnd = end;
      decode(path, start, nameEnd);
      if (this.#name.holds()) {
        decode(path, Math.min(nameEnd + 1, end), end);
        if (this.#value.holds()) return true;
      }
      start = end + 1;
    }
    return false;
  }
}

/** Puts the bytes of `text[start, end)` where tests look. A percent sign without two digits is one. */
function decode(text: string, start: number, end: number): void {
  makeRoom(end - start);
  for (let position = start; position < end; position++) {
    let code = text.charCodeAt(position);
    if (code === PLUS) {
      code = SPACE;
    } else if (code === PERCENT && position + 2 < end) {
      const high = HEX[text.charCodeAt(position + 1)] as number;
      const low = HEX[text.charCodeAt(position + 2)] as number;
      if (high < 16 && low < 16) {
        code = high * 16 + low;
        position += 2;
      }
    }
    bytes[length++] = code;
  }
}

/** Of what lies in the scratch space. */
class TextTest {
  readonly #isExact: boolean;
  /** For an exact text: all of it. */
  readonly #prefix: Uint8Array;
  readonly #suffix: Uint8Array;
  readonly #infix: Uint8Array;

  constructor(value: TextMatch, encoding: 'latin1' | 'utf8') {
    const parts = value.kind === 'parts' ? value : { suffix: '', contains: '' };
    const prefix = value.kind === 'parts' ? value.prefix : value.kind === 'exact' ? value.text : '';
    this.#isExact = value.kind === 'exact';
    this.#prefix = Buffer.from(prefix, encoding);
    this.#suffix = Buffer.from(parts.suffix, encoding);
    this.#infix = Buffer.from(parts.contains, encoding);
  }

  holds(): boolean {
    if (this.#isExact && length !== this.#prefix.length) return false;
    return (
      isAt(0, this.#prefix) && isAt(length - this.#suffix.length, this.#suffix) && has(this.#infix)
    );
  }
}

function isAt(start: number, part: Uint8Array): boolean {
  if (start < 0 || start + part.length > length) return false;
  for (let index = 0; index < part.length; index++) {
    if (bytes[start + index] !== part[index]) return false;
  }
  return true;
}

function has(part: Uint8Array): boolean {
  // Not by `indexOf`: behind the text lies what was there before, any amount of it.
  for (let start = 0; start + part.length <= length; start++) {
    if (isAt(start, part)) return true;
  }
  return false;
}
