/** Keeps the values of some query parameters out of the log: passwords and tokens that pages put into URLs. */
import { REDACTED } from '../../snapshot/access-log-rules.ts';

const PLAIN = 0;
/** Begins a name. */
const SEPARATOR = 1;
const EQUALS = 2;
/** The name is not what it looks like. */
const ENCODED = 3;
const KINDS = new Uint8Array(128);
for (const separator of '&;?') KINDS[separator.charCodeAt(0)] = SEPARATOR;
for (const mark of '%[+') KINDS[mark.charCodeAt(0)] = ENCODED;
KINDS['='.charCodeAt(0)] = EQUALS;

/** Lengths and first letters are told apart below it. */
const RANGE = 32;

export class Redaction {
  readonly #names: ReadonlySet<string>;
  /** By length and first letter: few parameters share both with a secret, and for the others no text is made. */
  readonly #looks = new Uint8Array(RANGE * RANGE);

  /** @param names in lower case */
  constructor(names: readonly string[]) {
    this.#names = new Set(names);
    for (const name of names) this.#looks[lookOf(name.length, name.charCodeAt(0))] = 1;
  }

  /** @param target a path with its query, or a URL. */
  of(target: string): string {
    if (this.#names.size === 0) return target;
    const query = target.indexOf('?');
    return query === -1 ? target : this.#without(target, query + 1);
  }

  /**
   * Where servers don't agree, what either of them takes for a secret is one: a name begins behind `&`, `;` and a further `?`,
   * and a value goes on to the next `&`.
   */
  #without(target: string, query: number): string {
    let text = '';
    let copied = 0;
    let start = query;
    let isName = true;
    let isPlain = true;
    for (let index = query; index < target.length; index++) {
      const code = target.charCodeAt(index);
      const kind = code < KINDS.length ? (KINDS[code] as number) : PLAIN;
      if (kind === PLAIN) continue;
      if (kind === SEPARATOR) {
        start = index + 1;
        isName = true;
        isPlain = true;
      } else if (kind === ENCODED) {
        isPlain = false;
      } else if (isName) {
        isName = false;
        if (!this.#isSecret(target, start, index, isPlain)) continue;
        const value = index + 1;
        const end = endOfValue(target, value);
        if (end === value) continue;
        text += target.slice(copied, value) + REDACTED;
        copied = end;
        index = end - 1;
      }
    }
    return copied === 0 ? target : text + target.slice(copied);
  }

  #isSecret(target: string, start: number, end: number, isPlain: boolean): boolean {
    if (!isPlain) return this.#isSecretName(decoded(target.slice(start, end)));
    if (start === end || this.#looks[lookOf(end - start, target.charCodeAt(start))] === 0)
      return false;
    return this.#names.has(target.slice(start, end).toLowerCase());
  }

  /** `user[password]` is the password of a form. */
  #isSecretName(name: string): boolean {
    if (this.#names.has(name)) return true;
    return name.split('[').some((part) => this.#names.has(part.replace(']', '')));
  }
}

/** The same for both cases of a letter. */
function lookOf(length: number, first: number): number {
  return Math.min(length, RANGE - 1) * RANGE + (first & (RANGE - 1));
}

function endOfValue(target: string, start: number): number {
  const end = target.indexOf('&', start);
  return end === -1 ? target.length : end;
}

/** As a form has it, in lower case; what is no encoding stands for itself. */
function decoded(name: string): string {
  const text = name
    .replaceAll('+', ' ')
    .replace(/%([0-7][0-9a-f])/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
  return text.trim().toLowerCase();
}
