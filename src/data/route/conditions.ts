/** What a route asks for beside a host and a path. */
import type { RouteMatch } from '../../snapshot/route.ts';
import type { Head } from '../wire/head.ts';
import type { RequestFacts } from '../wire/request.ts';
import { HeaderTest, QueryTest } from './text-test.ts';

/** `firstThatFails`: none does. */
export const HOLD = -1;
export const METHOD = -2;

export class Conditions {
  readonly #methods: readonly string[];
  readonly #headers: readonly HeaderTest[];
  readonly #query: readonly QueryTest[];

  constructor({ methods, headers, query }: RouteMatch) {
    this.#methods = methods;
    this.#headers = headers.map((header) => new HeaderTest(header));
    this.#query = query.map((parameter) => new QueryTest(parameter));
  }

  /** @param isTrusted the sender is a trusted proxy. */
  hold(facts: RequestFacts, head: Head, isTrusted: boolean): boolean {
    return this.firstThatFails(facts, head, isTrusted) === HOLD;
  }

  /** HOLD; or METHOD; or the number of a header, or behind those, of a query parameter, as in `RouteMatch`. */
  firstThatFails(facts: RequestFacts, head: Head, isTrusted: boolean): number {
    if (this.#methods.length > 0 && !this.#methods.includes(facts.method)) return METHOD;
    for (let index = 0; index < this.#headers.length; index++) {
      if (!(this.#headers[index] as HeaderTest).holds(facts, head, isTrusted)) return index;
    }
    for (let index = 0; index < this.#query.length; index++) {
      if (!(this.#query[index] as QueryTest).holds(facts.path)) {
        return this.#headers.length + index;
      }
    }
    return HOLD;
  }
}
