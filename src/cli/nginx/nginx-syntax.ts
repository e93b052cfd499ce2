/**
 * The syntax of nginx configs: words, quotes, escapes, comments, blocks. What the directives mean is none of its business.
 * As `ngx_conf_read_token` of nginx reads it.
 */

/** Where something stands: from 1. */
export interface NginxPlace {
  /** As it was named: the file itself, or by what includes it. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface Directive extends NginxPlace {
  readonly name: string;
  readonly args: readonly string[];
  /** Undefined: it ends with `;`. */
  readonly block?: readonly Directive[];
}

export class NginxSyntaxError extends Error {
  override readonly name = 'NginxSyntaxError';
  readonly place: NginxPlace;

  constructor(place: NginxPlace, message: string) {
    super(message);
    this.place = place;
  }
}

/** Deeper than anybody nests blocks; the stack has room for it. */
const MOST_BLOCKS = 64;

type Token = NginxPlace &
  ({ readonly kind: 'word'; readonly text: string } | { readonly kind: ';' | '{' | '}' | 'end' });

/** @throws NginxSyntaxError */
export function parseNginx(text: string, file: string): Directive[] {
  return new Parser(text, file).all();
}

class Parser {
  readonly #text: string;
  readonly #file: string;
  #at = 0;
  #line = 1;
  #lineStart = 0;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  all(): Directive[] {
    return this.#directives(undefined, 0);
  }

  #directives(opened: Token | undefined, depth: number): Directive[] {
    const directives: Directive[] = [];
    for (;;) {
      const first = this.#next();
      if (first.kind === 'end' && opened !== undefined) {
        throw new NginxSyntaxError(opened, 'this "{" is never closed');
      }
      if (first.kind === '}' && opened === undefined) {
        throw new NginxSyntaxError(first, 'there is no "{" that this "}" could close');
      }
      if (first.kind === 'end' || first.kind === '}') return directives;
      if (first.kind !== 'word') {
        throw new NginxSyntaxError(
          first,
          `a directive begins with its name, not with "${first.kind}"`,
        );
      }
      directives.push(this.#directive(first, depth));
    }
  }

  #directive(first: Token & { readonly kind: 'word' }, depth: number): Directive {
    const { file, line, column, text: name } = first;
    const args: string[] = [];
    for (;;) {
      const token = this.#next();
      if (token.kind === 'word') args.push(token.text);
      else if (token.kind === ';') return { file, line, column, name, args };
      else if (token.kind !== '{') {
        throw new NginxSyntaxError(first, `"${name}" does not end with ";"`);
      } else {
        if (depth >= MOST_BLOCKS) throw new NginxSyntaxError(token, 'blocks are nested too deeply');
        return { file, line, column, name, args, block: this.#directives(token, depth + 1) };
      }
    }
  }

  #next(): Token {
    this.#skipSpace();
    const place = this.#place();
    const char = this.#text[this.#at];
    if (char === undefined) return { ...place, kind: 'end' };
    if (char === ';' || char === '{' || char === '}') {
      this.#at++;
      return { ...place, kind: char };
    }
    const text = char === '"' || char === "'" ? this.#quoted(char, place) : this.#plain();
    return { ...place, kind: 'word', text };
  }

  #skipSpace(): void {
    for (let char = this.#text[this.#at]; char !== undefined; char = this.#text[this.#at]) {
      if (char === '#') {
        while (this.#at < this.#text.length && this.#text[this.#at] !== '\n') this.#at++;
      } else if (/[ \t\r\n\uFEFF]/.test(char)) this.#step();
      else return;
    }
  }

  #quoted(quote: string, opened: NginxPlace): string {
    this.#step();
    let text = '';
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) throw new NginxSyntaxError(opened, `this ${quote} is never closed`);
      if (char === quote) break;
      text += char === '\\' ? this.#escaped() : this.#step();
    }
    this.#step();
    const after = this.#text[this.#at];
    if (after !== undefined && !/[\s;{)]/.test(after)) {
      throw new NginxSyntaxError(this.#place(), `there must be a space or ";" behind ${quote}`);
    }
    return text;
  }

  #plain(): string {
    let text = '';
    for (let char = this.#text[this.#at]; char !== undefined; char = this.#text[this.#at]) {
      if (/[\s;]/.test(char)) break;
      // `${name}` is a variable, any other brace begins a block.
      if (char === '{' && !text.endsWith('$')) break;
      text += char === '\\' ? this.#escaped() : this.#step();
    }
    return text;
  }

  /** What nginx takes for an escape; of any other, such as those of a regular expression, the backslash stays. */
  #escaped(): string {
    this.#step();
    const char = this.#text[this.#at];
    if (char === undefined) return '\\';
    this.#step();
    if (char === '"' || char === "'" || char === '\\') return char;
    if (char === 't') return '\t';
    if (char === 'r') return '\r';
    if (char === 'n') return '\n';
    return `\\${char}`;
  }

  #step(): string {
    const char = this.#text[this.#at++] ?? '';
    if (char === '\n') {
      this.#line++;
      this.#lineStart = this.#at;
    }
    return char;
  }

  #place(): NginxPlace {
    return { file: this.#file, line: this.#line, column: this.#at - this.#lineStart + 1 };
  }
}
