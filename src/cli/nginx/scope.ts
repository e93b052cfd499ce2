/** A block of nginx with the blocks around it: what is not said in it is inherited, as nginx does it. */
import type { Directive } from './nginx-syntax.ts';

export class Scope {
  readonly directives: readonly Directive[];
  readonly #outer: Scope | undefined;

  constructor(directives: readonly Directive[], outer?: Scope) {
    this.directives = directives;
    this.#outer = outer;
  }

  /** Said in this block itself. */
  own(name: string): Directive[] {
    return this.directives.filter((directive) => directive.name === name);
  }

  /** The last one of the nearest block that says it. */
  find(name: string): Directive | undefined {
    return this.own(name).at(-1) ?? this.#outer?.find(name);
  }

  /** All of the nearest block that says any of them: those of outer blocks count only where there is none. */
  all(...names: readonly string[]): Directive[] {
    const own = this.directives.filter(({ name }) => names.includes(name));
    return own.length > 0 ? own : (this.#outer?.all(...names) ?? []);
  }

  text(name: string): string | undefined {
    return this.find(name)?.args[0];
  }
}
