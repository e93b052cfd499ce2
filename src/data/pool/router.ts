/** Where requests go, by the routes of a snapshot. */
import type { ErrorCode } from '../../errors.ts';
import type { RouteSnapshot } from '../../snapshot/route.ts';
import { matchesAll, readsPath } from '../../snapshot/route.ts';
import { BAD_HOST } from '../route/host-index.ts';
import { RouteRewriting } from '../route/rewriting.ts';
import { NO_ROUTE, RouteTable } from '../route/route-table.ts';
import type { Head } from '../wire/head.ts';
import { normalPath, type PathRules } from '../wire/path.ts';
import type { RequestFacts } from '../wire/request.ts';
import type { Pool } from './pool.ts';
import { createTerms, hasTerms, type RouteTerms } from './terms.ts';

/** A route, and where it leads. */
export interface Target {
  /** For the log: see `RouteSnapshot`. */
  readonly route: string;
  /** The first one where the route leads to none: that counts for the request as for one without a route. */
  readonly pool: Pool;
  /** What is changed on the way; null: nothing. */
  readonly rewriting: RouteRewriting | null;
  /** Null: all may go there. */
  readonly terms: RouteTerms | null;
}

export interface RouterOptions {
  /** Backends are told of a prefix that was taken off. */
  readonly sendsXForwarded: boolean;
  /** A backend has a path in its URL: paths are read, lest one leads out of it. */
  readonly haveBasePaths: boolean;
}

export class Router {
  readonly #readsPaths: boolean;
  readonly #table: RouteTable;
  /** By the index of a route. */
  readonly #targets: readonly Target[];
  readonly #pathRules: PathRules;

  constructor(
    routes: readonly RouteSnapshot[],
    pools: readonly Pool[],
    pathRules: PathRules,
    { sendsXForwarded, haveBasePaths }: RouterOptions,
  ) {
    this.#readsPaths = haveBasePaths || routes.some(readsPath);
    this.#table = RouteTable.compile(routes);
    this.#targets = routes.map((route, index) => ({
      route: route.name,
      pool: pools[index] as Pool,
      rewriting:
        route.rewriting === null
          ? null
          : new RouteRewriting(route.rewriting, pathRules, sendsXForwarded),
      terms: createTerms(route),
    }));
    this.#pathRules = pathRules;
  }

  /**
   * The one reading of a request's path, which is matched, logged, and forwarded if it is not rewritten.
   * @param path as in `RequestFacts`: the same string comes back as a rule.
   * @returns null for a path that is refused.
   */
  pathOf(path: string): string | null {
    return this.#readsPaths ? normalPath(path, this.#pathRules) : path;
  }

  /**
   * @param facts their path as `pathOf` gives it.
   * @param isTrusted the sender is a trusted proxy.
   * @returns where the request goes, or why nowhere.
   */
  find(facts: RequestFacts, head: Head, isTrusted: boolean): Target | ErrorCode {
    const index = this.#table.find(facts, head, isTrusted);
    if (index === NO_ROUTE) return 'ERR_NO_ROUTE';
    return index === BAD_HOST ? 'ERR_BAD_HOST' : (this.#targets[index] as Target);
  }
}

/** Null where all requests go to the first pool: then none of them is looked at. */
export function createRouter(
  routes: readonly RouteSnapshot[],
  pools: ReadonlyMap<number, Pool>,
  pathRules: PathRules,
  options: RouterOptions,
): Router | null {
  const [first] = pools.values() as Iterable<Pool>;
  const targets = routes.map(({ action }) => {
    return (action.kind === 'pool' ? pools.get(action.poolId) : first) as Pool;
  });
  const [only] = routes;
  const isPlain =
    only !== undefined && matchesAll(only.match) && only.rewriting === null && !hasTerms(only);
  const isAlone = routes.length === 1 && targets[0] === first;
  if (isAlone && isPlain && !options.haveBasePaths) return null;
  return new Router(routes, targets, pathRules, options);
}
