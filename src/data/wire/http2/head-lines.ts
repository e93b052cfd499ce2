/**
 * Lines of HTTP/1.1 heads that came before, with what they are in HPACK: for all connections of a thread. Each encoder takes one
 * of these: one per thread for the requests to backends, and one for the responses to clients.
 *
 * Heads repeat, line by line. So every line knows which one came after it the last time, and finding the next one is mostly a
 * comparison. What is kept is bounded, and lines that are not met again are forgotten.
 */
import { FIELD_OVERHEAD } from './field.ts';
import { indexedLiteral, literalStart, NEVER_INDEXED, WITHOUT_INDEXING } from './hpack-literal.ts';
import { type Recent, RecentMap } from './recent-map.ts';
import { STATIC_FIELDS, STATIC_NAMES } from './static-table.ts';
import { REPEATS, treatmentChanges, treatmentOf } from './treatments.ts';

/** Longer ones are not kept. */
const MAX_LINE = 192;
const MAX_NAME = 64;
/** A field whose lines were new so many times in a row varies, whatever its name is. */
const MAX_NEW_LINES = 64;
/** After that, every so many times it is looked at again. */
const SECOND_LOOK = 16;

const LINES = 256;
const NAMES = 128;

/** Longer ones differ too often. */
const MAX_RUN = 1024;

/** A name, as some sender writes it. */
export class HeadName implements Recent {
  isUsed = false;
  /** In lower case. */
  readonly name: string;
  /** Of the static table, or 0. */
  readonly index: number;
  readonly treatment: number;
  /** Literals that go into no table, up to the value. */
  readonly start: Buffer;
  readonly secretStart: Buffer;
  /** How a field with this name begins, whatever its value is. */
  readonly any: HeadLine;
  newLines = 0;

  /** @param written with its colon. */
  constructor(written: string) {
    this.name = written.slice(0, -1).toLowerCase();
    this.index = STATIC_NAMES.get(this.name) ?? 0;
    this.treatment = treatmentOf(this.name);
    this.start = literalStart(WITHOUT_INDEXING, this.index, this.name);
    this.secretStart = literalStart(NEVER_INDEXED, this.index, this.name);
    this.any = new HeadLine(written, this, false, 0, '');
  }

  onForgotten(): void {
    this.any.onForgotten();
  }
}

/** Lines that came one right after the other, all of them whole: comparing them at once costs no more than one. */
export class HeadRun {
  readonly text: string;
  readonly lines: readonly HeadLine[];
  readonly last: HeadLine;

  constructor(text: string, lines: readonly HeadLine[], last: HeadLine) {
    this.text = text;
    this.lines = lines;
    this.last = last;
  }
}

export class HeadLine implements Recent {
  isUsed = false;
  /** The whole line, or the name and its colon. */
  readonly text: string;
  readonly named: HeadName;
  readonly isWhole: boolean;
  /** No other line has it. */
  readonly number: number;
  /** Of the static table, or 0. */
  readonly index: number;
  /** In a dynamic table. */
  readonly size: number;
  readonly value: string;
  /** How often it was written; 2 is often. */
  uses = 0;
  /** What came after it the last time. */
  next: HeadLine | null = null;
  /** What came after it, if that was several whole lines. */
  run: HeadRun | null = null;
  #literal: Buffer | null = null;

  constructor(text: string, named: HeadName, isWhole: boolean, number: number, value: string) {
    const { index } = named;
    this.text = text;
    this.named = named;
    this.isWhole = isWhole;
    this.number = number;
    this.index = isWhole && STATIC_FIELDS[index]?.value === value ? index : 0;
    this.size = named.name.length + value.length + FIELD_OVERHEAD;
    this.value = value;
  }

  /** With which it goes into a dynamic table. */
  get literal(): Buffer {
    const { index, name } = this.named;
    return (this.#literal ??= indexedLiteral(index, name, this.value));
  }

  /** Those that are forgotten must not hold each other. */
  onForgotten(): void {
    this.next = null;
    this.run = null;
  }
}

export class HeadLines {
  /** Come before the first line of each head, and of trailers. */
  readonly beforeHead: HeadLine;
  readonly beforeTrailers: HeadLine;
  /** In place of any `TE` that says more. */
  readonly trailers: HeadLine;
  readonly #names = new RecentMap<HeadName>(NAMES);
  readonly #lines = new RecentMap<HeadLine>(LINES);
  #made = 0;
  #changes = 0;

  constructor() {
    this.beforeHead = new HeadName(':').any;
    this.beforeTrailers = new HeadName(':').any;
    this.trailers = this.lineOf(new HeadName('te:'), 'trailers');
  }

  /** Another head begins. */
  begin(): void {
    if (this.#changes === treatmentChanges()) return;
    this.#changes = treatmentChanges();
    this.#names.clear();
    this.#lines.clear();
    this.beforeHead.onForgotten();
    this.beforeTrailers.onForgotten();
  }

  /** The line that begins at `head[start]`. @param end of it: there are CR and LF. */
  find(head: string, start: number, end: number): HeadLine {
    const colon = head.indexOf(':', start);
    const named = this.#nameOf(head, start, colon + 1);
    // What is compared as a whole is as we write it: the name, one space, the value.
    if (named.treatment !== REPEATS || end - start > MAX_LINE || !isPlain(head, colon, end)) {
      return named.any;
    }
    const text = head.slice(start, end + 2);
    const known = this.#lines.get(text);
    if (known !== undefined) {
      named.newLines = 0;
      return known;
    }
    named.newLines++;
    if (named.newLines > MAX_NEW_LINES && named.newLines % SECOND_LOOK !== 0) return named.any;
    return this.#add(copied(text), named, head.slice(colon + 2, end));
  }

  /** One that stands in no head. */
  lineOf(named: HeadName, value: string): HeadLine {
    const key = `${named.name}\0${value}`;
    return this.#lines.get(key) ?? this.#add(key, named, value);
  }

  /** `head[start, end)` was these lines, as it was the last time. @param before what came before them */
  join(before: HeadLine, head: string, start: number, end: number, count: number): void {
    if (end - start > MAX_RUN) return;
    const lines: HeadLine[] = [];
    let line = before;
    for (let index = 0; index < count; index++) {
      line = line.next as HeadLine;
      lines.push(line);
    }
    before.run = new HeadRun(copied(head.slice(start, end)), lines, line);
  }

  #add(text: string, named: HeadName, value: string): HeadLine {
    this.#made++;
    const line = new HeadLine(text, named, true, this.#made, copied(value));
    if (text.length <= MAX_LINE) this.#lines.set(text, line);
    return line;
  }

  #nameOf(head: string, start: number, end: number): HeadName {
    const written = head.slice(start, end);
    const known = this.#names.get(written);
    if (known !== undefined) {
      known.isUsed = true;
      return known;
    }
    const text = copied(written);
    const named = new HeadName(text);
    if (end - start <= MAX_NAME) this.#names.set(text, named);
    return named;
  }
}

/** Of a slice, which would keep the head that it is of. */
function copied(text: string): string {
  return Buffer.from(text, 'latin1').latin1Slice(0, text.length);
}

const SPACE = 0x20;
const TAB = 0x09;

/** Whether there is one space behind the colon, and none at the end. */
function isPlain(head: string, colon: number, end: number): boolean {
  return (
    head.charCodeAt(colon + 1) === SPACE && !isSpace(head, colon + 2) && !isSpace(head, end - 1)
  );
}

export function isSpace(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === SPACE || code === TAB;
}
