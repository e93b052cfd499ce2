/** Header fields as a route has them changed: which go, and which lines come. */
import type { FieldRules } from '../../snapshot/rewriting.ts';
import { FieldTemplate, type TemplateSource } from './template.ts';

const VARY = 'vary';

/** Of one request, or of its answer. */
export interface FieldChanges {
  /** Null: none. */
  readonly dropped: FieldNames | null;
  /** Whole field lines. */
  readonly lines: string;
}

/**
 * Names of fields that go no further, in the place of those that a Connection field names. A client may write `X_Tenant` for
 * `X-Tenant`: CGI-style servers read both as the same variable, so both are meant.
 */
export class FieldNames extends Set<string> {
  readonly #plain: ReadonlySet<string>;

  /** @param names in any case. @param nominated by the message itself, in lower case. */
  constructor(names: Iterable<string>, nominated: Iterable<string> = []) {
    super(nominated);
    this.#plain = new Set(Array.from(names, plain));
  }

  /** @param name in lower case. */
  override has(name: string): boolean {
    return super.has(name) || this.#plain.has(plain(name));
  }

  /** Together with what a message says itself. */
  with(nominated: ReadonlySet<string> | null): FieldNames {
    return nominated === null ? this : new FieldNames(this.#plain, nominated);
  }
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

/** What comes of the rules of a route. */
export class FieldRewriting {
  readonly #dropped: FieldNames | null;
  readonly #names: readonly string[];
  readonly #values: readonly FieldTemplate[];
  /** Where no value has variables. */
  readonly #constant: FieldChanges | null;

  constructor({ set, add, remove }: FieldRules) {
    const fields = [...set, ...add];
    const dropped = [...set.map(({ name }) => name), ...remove];
    this.#dropped = dropped.length === 0 ? null : new FieldNames(dropped);
    this.#names = fields.map(({ name }) => name);
    this.#values = fields.map(({ value }) => new FieldTemplate(value));
    const isConstant = this.#values.every(({ constant }) => constant !== null);
    const lines = this.#values.map(({ constant }, index) => this.#line(index, constant ?? ''));
    this.#constant = isConstant ? { dropped: this.#dropped, lines: lines.join('') } : null;
  }

  changes(source: TemplateSource): FieldChanges {
    if (this.#constant !== null) return this.#constant;
    let lines = '';
    for (const [index, value] of this.#values.entries()) {
      lines += this.#line(index, value.text(source));
    }
    return { dropped: this.#dropped, lines };
  }

  /** As nginx has it, a field without a value is none. */
  #line(index: number, value: string): string {
    return value === '' ? '' : `${this.#names[index]}: ${value}\r\n`;
  }
}

/** What is dropped of a message: beside what it names itself. */
export function droppedOf(
  { dropped }: FieldChanges,
  nominated: ReadonlySet<string> | null,
): ReadonlySet<string> | null {
  return dropped === null ? nominated : dropped.with(nominated);
}

/** Trailers, without those that are dropped. @param trailers whole field lines. */
export function changedTrailers({ dropped }: FieldChanges, trailers: string): string {
  if (dropped === null || trailers === '') return trailers;
  return keep(trailers, (name) => !dropped.has(name));
}

/** For an answer of ours: the lines that it has none of, so that what it says stands. Of Vary (RFC 9110 §12.5.5) what it does not name. */
export function linesBeside(lines: string, ownLines: string): string {
  const own = new Set<string>();
  const varies = new Set<string>();
  for (const line of linesOf(ownLines)) {
    own.add(nameOf(line));
    if (nameOf(line) === VARY) for (const name of listOf(line)) varies.add(name);
  }
  return keep(lines, (name, line) =>
    name === VARY ? !listOf(line).every((one) => varies.has(one)) : !own.has(name),
  );
}

function keep(lines: string, isKept: (name: string, line: string) => boolean): string {
  return linesOf(lines)
    .filter((line) => isKept(nameOf(line), line))
    .map((line) => `${line}\r\n`)
    .join('');
}

function linesOf(lines: string): string[] {
  return lines.split('\r\n').filter((line) => line !== '');
}

function nameOf(line: string): string {
  return line.slice(0, line.indexOf(':')).toLowerCase();
}

/** The members of a field that is a list, in lower case. */
function listOf(line: string): string[] {
  const members = line.slice(line.indexOf(':') + 1).toLowerCase();
  return members.split(',').map((member) => member.trim());
}
