/** What a route asks for beside a host and a path. */
import type { RouteMatch } from '../../snapshot/route.ts';
import type { Head } from '../wire/head.ts';
import { HeaderTest, QueryTest } from './text-test.ts';

export class Conditions {
  readonly #methods: readonly string[];
  readonly #headers: readonly HeaderTest[];
  readonly #query: readonly QueryTest[];

  constructor({ methods, headers, query }: RouteMatch) {
    this.#methods = methods;
    this.#headers = headers.map((header) => new HeaderTest(header));
    this.#query = query.map((parameter) => new QueryTest(parameter));
  }

  /** @param path in origin form with its query. */
  hold(path: string, method: string, head: Head): boolean {
    if (this.#methods.length > 0 && !this.#methods.includes(method)) return false;
    for (let index = 0; index < this.#headers.length; index++) {
      if (!(this.#headers[index] as HeaderTest).holds(head)) return false;
    }
    for (let index = 0; index < this.#query.length; index++) {
      if (!(this.#query[index] as QueryTest).holds(path)) return false;
    }
    return true;
  }
}
