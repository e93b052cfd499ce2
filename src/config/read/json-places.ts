/**
 * Where every key and value of a strict JSON text stands: one pass over it, with nothing made of the values. `JSON.parse` makes
 * those, a hundred times faster than the YAML parser, which is bounded to what it can read in half a second.
 */
import type { Path } from './layer.ts';

/** A plain value is where it begins. */
type JsonNode = number | JsonList | JsonObject;

interface JsonList {
  readonly offset: number;
  readonly items: JsonNode[];
}

interface JsonObject {
  readonly offset: number;
  readonly members: Map<string, { readonly key: number; readonly value: JsonNode }>;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const LARGEST_SPACE = 0x20;

export class JsonPlaces {
  /** Values, and mappings and lists of them. */
  values = 0;
  /** Of the largest mapping, and of the longest list. */
  mostKeys = 0;
  mostItems = 0;
  /** Where a key stands that its mapping has already. */
  readonly repeated: number[] = [];

  readonly #text: string;
  #offset = 0;
  readonly #root: JsonNode;

  /** @param text strict JSON of bounded depth */
  constructor(text: string) {
    this.#text = text;
    this.#root = this.#value();
  }

  /** As in a document of YAML: of a path that is not there, its nearest ancestor. */
  offsetOf(path: Path, part: 'key' | 'value'): number {
    let node = this.#root;
    let offset = offsetOf(node);
    for (const [depth, segment] of path.entries()) {
      let key: number | undefined;
      let next: JsonNode | undefined;
      if (typeof node === 'number') break;
      if ('members' in node) {
        const member = node.members.get(String(segment));
        key = member?.key;
        next = member?.value;
      } else {
        next = node.items[Number(segment)];
      }
      if (next === undefined) break;
      const isKey = part === 'key' && depth === path.length - 1 && key !== undefined;
      offset = isKey ? (key as number) : offsetOf(next);
      node = next;
    }
    return offset;
  }

  #value(): JsonNode {
    this.values++;
    const offset = this.#next();
    const sign = this.#text[offset];
    if (sign === '{') return this.#object(offset);
    if (sign === '[') return this.#list(offset);
    if (sign === '"') this.#skipString();
    else this.#skipWord();
    return offset;
  }

  #list(offset: number): JsonList {
    const items: JsonNode[] = [];
    this.#offset++;
    while (this.#isBefore(']')) items.push(this.#value());
    this.mostItems = Math.max(this.mostItems, items.length);
    return { offset, items };
  }

  #object(offset: number): JsonObject {
    const members: JsonObject['members'] = new Map();
    this.#offset++;
    while (this.#isBefore('}')) {
      const key = this.#next();
      this.#skipString();
      const name = JSON.parse(this.#text.slice(key, this.#offset)) as string;
      // The colon.
      this.#next();
      this.#offset++;
      if (members.has(name)) this.repeated.push(key);
      members.set(name, { key, value: this.#value() });
    }
    this.mostKeys = Math.max(this.mostKeys, members.size);
    return { offset, members };
  }

  /** Behind a comma or the opening bracket: whether one more follows; else the closing bracket is behind us. */
  #isBefore(close: string): boolean {
    const at = this.#next();
    if (this.#text.charCodeAt(at) === COMMA) this.#offset++;
    else if (this.#text[at] === close) {
      this.#offset++;
      return false;
    }
    return true;
  }

  /** Skips white space. */
  #next(): number {
    while (this.#text.charCodeAt(this.#offset) <= LARGEST_SPACE) this.#offset++;
    return this.#offset;
  }

  #skipString(): void {
    for (;;) {
      const sign = this.#text.charCodeAt(++this.#offset);
      if (sign === BACKSLASH) this.#offset++;
      else if (sign === QUOTE) break;
    }
    this.#offset++;
  }

  /** A number, true, false or null: up to what can't be a part of it. */
  #skipWord(): void {
    for (;;) {
      const sign = this.#text[++this.#offset];
      if (sign === undefined || ',]} \t\n\r'.includes(sign)) return;
    }
  }
}

function offsetOf(node: JsonNode): number {
  return typeof node === 'number' ? node : node.offset;
}
