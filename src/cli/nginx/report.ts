/** What an import has to say beside the config that it makes. */
import type { Directive } from './nginx-syntax.ts';

export interface Finding {
  readonly file: string;
  readonly line: number;
  /** As it stands, without its block. */
  readonly directive: string;
  /** `closed`: access that can't be checked the same way is refused to all. */
  readonly kind: 'left-out' | 'differs' | 'closed';
  readonly why: string;
}

export class Report {
  readonly findings: Finding[] = [];
  readonly #seen = new Set<string>();
  readonly #done = new Set<Directive>();

  /** Of directives that are carried over where they can be: this one is. */
  carriedOver(directive: Directive): void {
    this.#done.add(directive);
  }

  /** It is carried over, or told of as closed. */
  isDone(directive: Directive): boolean {
    return this.#done.has(directive);
  }

  leftOut(directive: Directive, why: string): void {
    this.#add(directive, 'left-out', why);
  }

  differs(directive: Directive, why: string): void {
    this.#add(directive, 'differs', why);
  }

  closed(directive: Directive, why: string): void {
    this.#done.add(directive);
    this.#add(directive, 'closed', why);
  }

  /** A directive that several locations inherit is told of once. */
  #add({ file, line, column, name, args }: Directive, kind: Finding['kind'], why: string): void {
    const key = `${file}:${line}:${column}:${kind}:${why}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    const directive = [name, ...args].join(' ');
    this.findings.push({ file, line, directive, kind, why });
  }
}
