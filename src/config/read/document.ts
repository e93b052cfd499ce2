/** A config file as text: parsed, with the position of every key and value. */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
} from 'yaml';
import type { Place, Problem } from '../problem.ts';
import { JsonPlaces } from './json-places.ts';
import type { Path } from './layer.ts';
import { findJsonFault } from './strict-json.ts';
import { explainYamlFault, findSwallowedItem, type YamlFault } from './yaml-fault.ts';

export interface ConfigDocument {
  readonly value: Readonly<Record<string, unknown>>;
  /** Where the key or the value at this path stands; of a path that is not there, its nearest ancestor. */
  readonly place: (path: Path, part: 'key' | 'value') => Place;
}

export type DocumentResult =
  | { readonly ok: true; readonly document: ConfigDocument }
  | { readonly ok: false; readonly problems: readonly Problem[] };

const LARGEST_CHARACTERS = 1024 * 1024;
const DEEPEST_BRACKETS = 64;
const DEEPEST_IN_LINE = 64;
const DEEPEST_INDENTATION = /^[ \t]{200}/m;
/** The parser compares every key of a mapping with every other one: enough for a thousand keys in one mapping. */
const MOST_KEY_COMPARISONS = 1_000_000;
/** One slip can make the parser stumble at every line that follows. */
const MOST_FAULTS = 10;
/**
 * What the parser takes a step for: a line, or a sign that may begin or end something. A step costs it 7 to 20 µs, more
 * where it stumbles, and it can't be interrupted: with this many it is done within half a second, whatever they are.
 */
const MOST_MARKS = 20_000;
const MARKS = /[\n\\[\]{},"'&*!|>#%@`]|[-?:](?=[\s,[\]{}"']|$)/g;
/** Each is looked up among all anchors. */
const MOST_ALIASES = 100;
/** JSON is read by V8; what its values cost is their validation. */
const MOST_JSON_VALUES = 80_000;
const MOST_JSON_ITEMS = 40_000;
const MOST_JSON_KEYS = 1_000;
/** With every alias in its place: each of the values is validated. */
const MOST_VALUES = 50_000;

/**
 * The YAML parser recurses once per level, and a stack that ends while V8 compiles a regular expression ends the
 * process, not the call: no `catch` helps. So depth is bounded before it runs. Signs in texts and comments are counted
 * too; no config has that many of them.
 */
function isTooDeep(source: string): boolean {
  if (DEEPEST_INDENTATION.test(source)) return true;
  let brackets = 0;
  let inLine = 0;
  for (const [sign] of source.matchAll(/[[\]{},\n]|[-?:](?=[ \t])/g)) {
    if (sign === '-' || sign === '?' || sign === ':') {
      inLine++;
    } else {
      inLine = 0;
      if (sign === '[' || sign === '{') brackets++;
      else if ((sign === ']' || sign === '}') && brackets > 0) brackets--;
    }
    if (brackets > DEEPEST_BRACKETS || inLine > DEEPEST_IN_LINE) return true;
  }
  return false;
}

function hasTooManyMarks(source: string): boolean {
  MARKS.lastIndex = 0;
  for (let marks = 0; marks <= MOST_MARKS; marks++) {
    if (!MARKS.test(source)) return false;
  }
  return true;
}

/** A name that ends in `.json` is strict JSON, any other is YAML. Never throws. */
export function parseConfigDocument(input: string, file: string): DocumentResult {
  const source = input.startsWith('\uFEFF') ? input.slice(1) : input;
  const lines = new LineCounter();
  const problem = (offset: number, message: string): Problem => {
    const { line, col } = lines.linePos(offset);
    return { origin: 'file', file, line, column: col, path: '', message };
  };

  const unreadable = ({ offset, message, hint }: YamlFault): DocumentResult => {
    const more = { ...(hint !== undefined && { hint }), excerpt: excerptAt(source, offset) };
    return { ok: false, problems: [{ ...problem(offset, message), ...more }] };
  };

  const whole = (message: string): DocumentResult => ({
    ok: false,
    problems: [{ origin: 'file', file, path: '', message }],
  });
  if (source.length > LARGEST_CHARACTERS) return whole('is larger than 1 MiB');

  if (file.toLowerCase().endsWith('.json')) {
    addLineStarts(lines, source);
    const fault = findJsonFault(source);
    if (fault !== undefined) return { ok: false, problems: [problem(fault.offset, fault.message)] };
    const places = new JsonPlaces(source);
    if (places.values > MOST_JSON_VALUES) {
      return whole(`is too long: it has more than ${MOST_JSON_VALUES} values`);
    }
    if (places.mostItems > MOST_JSON_ITEMS) {
      return whole(`is too long: a list has more than ${MOST_JSON_ITEMS} values`);
    }
    if (places.mostKeys > MOST_JSON_KEYS) return whole('has too many keys');
    if (places.repeated.length > 0) {
      const problems = places.repeated
        .slice(0, MOST_FAULTS)
        .map((offset) => problem(offset, repeatedKey(source, offset)));
      return { ok: false, problems };
    }
    return documentOf(JSON.parse(source), file, lines, (path, part) => places.offsetOf(path, part));
  }

  if (isTooDeep(source)) return whole('is nested too deeply');
  if (hasTooManyMarks(source)) {
    return whole(`is too long: it has more than ${MOST_MARKS} lines, keys and values`);
  }
  let document: Document.Parsed;
  let value: unknown;
  try {
    document = parseDocument(source, {
      lineCounter: lines,
      prettyErrors: false,
      stringKeys: true,
      uniqueKeys: compareKeys(),
      // 'silent' would take the first of several documents without a word.
      logLevel: 'error',
    });
    const [first, ...others] = [...document.errors, ...document.warnings].slice(0, MOST_FAULTS);
    if (first !== undefined && !Object.hasOwn(FAULTS, first.code)) {
      return unreadable(explainYamlFault(source, first));
    }
    if (first !== undefined) {
      const problems = [first, ...others].map(({ code, pos: [offset], message }) =>
        problem(offset, FAULTS[code]?.(source, offset) ?? message),
      );
      return { ok: false, problems };
    }
    const swallowed = findSwallowed(document, source);
    if (swallowed !== undefined) return unreadable(swallowed);
    // Without its sign there is none, and there are fewer values than marks.
    const aliases = source.includes('*') ? findAliases(document) : [];
    const surplus = aliases[MOST_ALIASES];
    if (surplus !== undefined) {
      const offset = surplus.range?.[0] ?? 0;
      return { ok: false, problems: [problem(offset, `has more than ${MOST_ALIASES} aliases`)] };
    }
    const lost = aliases.find((alias) => alias.resolve(document) === undefined);
    if (lost !== undefined) {
      // Without its name: a password may begin with that sign.
      const what =
        'an alias (*) must stand behind what it names (&); a text that begins with * stands in quotes';
      return { ok: false, problems: [problem(lost.range?.[0] ?? 0, what)] };
    }
    const circle = aliases.length > 0 ? findCircle(document) : undefined;
    if (circle !== undefined) {
      return {
        ok: false,
        problems: [problem(circle, 'an alias must not stand inside what it names')],
      };
    }
    if (aliases.length > 0 && countValues(document, aliases) > MOST_VALUES) {
      return whole(`has more than ${MOST_VALUES} values with its aliases filled in`);
    }
    value = document.toJS({ maxAliasCount: MOST_ALIASES });
  } catch (error) {
    // Aliases that multiply, or too many keys.
    return whole((error as Error).message);
  }

  return documentOf(value, file, lines, (path, part) => findOffset(document, path, part));
}

function documentOf(
  value: unknown,
  file: string,
  lines: LineCounter,
  offsetOf: (path: Path, part: 'key' | 'value') => number,
): DocumentResult {
  const place: ConfigDocument['place'] = (path, part) => {
    const { line, col } = lines.linePos(offsetOf(path, part));
    return { origin: 'file', file, line, column: col };
  };
  if (value === null || value === undefined) return { ok: true, document: { value: {}, place } };
  if (typeof value !== 'object' || Array.isArray(value)) {
    const message = 'must be a mapping of keys, such as port: 8080';
    return { ok: false, problems: [{ ...place([], 'value'), path: '', message }] };
  }
  return { ok: true, document: { value: value as Record<string, unknown>, place } };
}

/** The parser's own comparison, but for the end: 1 MiB of keys would keep the control plane busy for minutes. */
function compareKeys(): (a: unknown, b: unknown) => boolean {
  let comparisons = 0;
  return (a, b) => {
    if (++comparisons > MOST_KEY_COMPARISONS) throw new Error('has too many keys');
    return a === b || (isScalar(a) && isScalar(b) && a.value === b.value);
  };
}

function findAliases(document: Document.Parsed): Alias[] {
  const aliases: Alias[] = [];
  visit(document, { Alias: (_key, alias) => void aliases.push(alias) });
  return aliases;
}

/** How many there are once every alias stands for what it names. There is no circle. */
function countValues(document: Document.Parsed, aliases: readonly Alias[]): number {
  const named = new Map(aliases.map((alias) => [alias, alias.resolve(document)]));
  const counted = new Map<unknown, number>();
  const count = (node: unknown): number => {
    const known = counted.get(node);
    if (known !== undefined) return known;
    let values = 1;
    if (isAlias(node)) values = count(named.get(node));
    else if (isMap(node)) for (const pair of node.items) values += count(pair.value);
    else if (isSeq(node)) for (const item of node.items) values += count(item);
    if (typeof node === 'object' && node !== null) counted.set(node, values);
    return values;
  };
  return count(document.contents);
}

/** Where an alias stands inside of the node that it names: a value without an end. */
function findCircle(document: Document.Parsed): number | undefined {
  let offset: number | undefined;
  visit(document, {
    Alias(_key, alias, ancestors) {
      const named = alias.resolve(document);
      if (named === undefined || !ancestors.includes(named)) return undefined;
      offset = alias.range?.[0] ?? 0;
      return visit.BREAK;
    },
  });
  return offset;
}

/** What is wrong with what could be read, in our words: all of it is told. */
const FAULTS: Readonly<Record<string, (source: string, offset: number) => string>> = {
  DUPLICATE_KEY: repeatedKey,
  MULTIPLE_DOCS: () => 'a config is one YAML document; a second one begins here',
  NON_STRING_KEY: () => 'a key must be a text',
};

/** Of a longer line only what is around the place. */
const EXCERPT_BEFORE = 60;
const EXCERPT_AFTER = 40;

function excerptAt(source: string, offset: number): string {
  const lineStart = source.lastIndexOf('\n', offset - 1) + 1;
  const lineEnd = source.indexOf('\n', offset);
  const from = Math.max(lineStart, offset - EXCERPT_BEFORE);
  const to = Math.min(lineEnd === -1 ? source.length : lineEnd, offset + EXCERPT_AFTER);
  const shown = (start: number, end: number): string =>
    source.slice(start, end).replaceAll(/\p{Cc}/gu, ' ');
  return `  ${shown(from, to).trimEnd()}\n  ${' '.repeat(offset - from)}^`;
}

function findSwallowed(document: Document.Parsed, source: string): YamlFault | undefined {
  return findSwallowedIn(document.contents, source);
}

function findSwallowedIn(node: unknown, source: string): YamlFault | undefined {
  if (isScalar(node)) {
    const { type, range } = node;
    if (type !== 'PLAIN' || range === null || range === undefined) return undefined;
    return findSwallowedItem(source, range[0], range[1]);
  }
  if (isSeq(node)) return firstFault(node.items, (item) => findSwallowedIn(item, source));
  if (!isMap(node)) return undefined;
  return firstFault(
    node.items,
    ({ key, value }) => findSwallowedIn(key, source) ?? findSwallowedIn(value, source),
  );
}

function firstFault<Item>(
  items: readonly Item[],
  find: (item: Item) => YamlFault | undefined,
): YamlFault | undefined {
  for (const item of items) {
    const fault = find(item);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function repeatedKey(source: string, offset: number): string {
  return `${keyAt(source, offset)} stands here a second time`;
}

/** The parser names the place of a key that stands twice, not the key. */
function keyAt(source: string, offset: number): string {
  const key = /^["']?([\w$.-]+)/.exec(source.slice(offset, offset + 100))?.[1];
  return key === undefined ? 'this key' : `the key ${JSON.stringify(key)}`;
}

function addLineStarts(lines: LineCounter, source: string): void {
  lines.addNewLine(0);
  for (let at = source.indexOf('\n'); at !== -1; at = source.indexOf('\n', at + 1)) {
    lines.addNewLine(at + 1);
  }
}

function findOffset(document: Document.Parsed, path: Path, part: 'key' | 'value'): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0] ?? 0;
  for (const [depth, segment] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    let key: unknown;
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.find(
        (item: Pair) => isScalar(item.key) && item.key.value === segment,
      );
      key = pair?.key;
      next = pair?.value;
    } else if (isSeq(node)) {
      next = node.items[Number(segment)];
    }
    if (key === undefined && next === undefined) break;
    const wanted = part === 'key' && depth === path.length - 1 ? (key ?? next) : (next ?? key);
    offset = (wanted as Node | null)?.range?.[0] ?? offset;
    node = next;
  }
  return offset;
}
