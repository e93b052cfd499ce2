/**
 * Where and why a text is not strict JSON (RFC 8259). `JSON.parse` decides the same, but says where only sometimes, and
 * in other words in every version of Node; the YAML parser, which gives the positions, accepts more than JSON.
 */

/** Deeper nesting than any config has; keeps the recursion of this scanner and of the YAML parser bounded. */
const DEEPEST = 64;

const SPACE = /[ \t\n\r]*/y;
// What needs no escape is taken as a run: character by character, a mebibyte takes ten times as long.
const STRING =
  // oxlint-disable-next-line no-control-regex -- RFC 8259 §7 names them
  /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;

export interface JsonFault {
  readonly offset: number;
  readonly message: string;
}

/** Undefined when the text is strict JSON. */
export function findJsonFault(text: string): JsonFault | undefined {
  return new Scanner(text).document();
}

/** The first key that stands twice in one object, of a text that is strict JSON: readers differ on which one counts. */
export function findDuplicateKey(text: string): string | undefined {
  const scanner = new Scanner(text);
  scanner.document();
  return scanner.duplicate;
}

class Scanner {
  duplicate: string | undefined;
  readonly #text: string;
  #offset = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonFault | undefined {
    const fault = this.#value(0);
    if (fault !== undefined) return fault;
    this.#skip(SPACE);
    return this.#offset === this.#text.length ? undefined : this.#fault('the end of the file');
  }

  #value(depth: number): JsonFault | undefined {
    this.#skip(SPACE);
    if (depth > DEEPEST) return { offset: this.#offset, message: 'is nested too deeply' };
    const next = this.#text[this.#offset];
    if (next === '{') {
      const keys = new Set<string>();
      return this.#members('}', () => this.#member(depth, keys));
    }
    if (next === '[') return this.#members(']', () => this.#value(depth + 1));
    if (next === '"') return this.#string('a string');
    return this.#skip(NUMBER) || this.#skip(WORD) ? undefined : this.#fault('a value');
  }

  #members(close: string, one: () => JsonFault | undefined): JsonFault | undefined {
    this.#offset++;
    this.#skip(SPACE);
    if (this.#take(close)) return undefined;
    for (;;) {
      const fault = one();
      if (fault !== undefined) return fault;
      this.#skip(SPACE);
      if (this.#take(close)) return undefined;
      const comma = this.#offset;
      if (!this.#take(',')) return this.#fault(`"," or "${close}"`);
      this.#skip(SPACE);
      if (this.#text[this.#offset] === close) {
        return { offset: comma, message: `JSON has no comma before "${close}"` };
      }
    }
  }

  #member(depth: number, keys: Set<string>): JsonFault | undefined {
    this.#skip(SPACE);
    const start = this.#offset;
    const fault = this.#string('a key in double quotes');
    if (fault !== undefined) return fault;
    const key = JSON.parse(this.#text.slice(start, this.#offset)) as string;
    if (keys.has(key)) this.duplicate ??= key;
    keys.add(key);
    this.#skip(SPACE);
    return this.#take(':') ? this.#value(depth + 1) : this.#fault('":"');
  }

  #string(what: string): JsonFault | undefined {
    if (this.#skip(STRING)) return undefined;
    if (this.#text[this.#offset] !== '"') return this.#fault(what);
    return {
      offset: this.#offset,
      message: 'this string has no end, or holds a line break, a control character or a bad escape',
    };
  }

  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.#offset;
    const found = pattern.exec(this.#text);
    if (found === null) return false;
    this.#offset += found[0].length;
    return true;
  }

  #take(character: string): boolean {
    if (this.#text[this.#offset] !== character) return false;
    this.#offset++;
    return true;
  }

  #fault(expected: string): JsonFault {
    const found = this.#text[this.#offset];
    if (found === '/' || found === '#') {
      return { offset: this.#offset, message: 'JSON has no comments; a .yaml file may have them' };
    }
    const what = found === undefined ? 'the end of the file' : JSON.stringify(found);
    return { offset: this.#offset, message: `expected ${expected}, found ${what}` };
  }
}
