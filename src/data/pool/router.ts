/** Where requests go, by the routes of a snapshot. */
import type { ErrorCode } from '../../errors.ts';
import type { RouteSnapshot } from '../../snapshot/route.ts';
import { matchesAll } from '../../snapshot/route.ts';
import { BAD_HOST } from '../route/host-index.ts';
import { NO_ROUTE, RouteTable } from '../route/route-table.ts';
import type { Head } from '../wire/head.ts';
import { normalPath, type PathRules } from '../wire/path.ts';
import type { RequestFacts } from '../wire/request.ts';
import type { Pool } from './pool.ts';

/** A route, and where it leads. */
export interface Target {
  /** For the log: see `RouteSnapshot`. */
  readonly route: string;
  readonly pool: Pool;
}

export class Router {
  readonly #table: RouteTable;
  /** By the index of a route. */
  readonly #targets: readonly Target[];
  readonly #pathRules: PathRules;

  constructor(routes: readonly RouteSnapshot[], pools: readonly Pool[], pathRules: PathRules) {
    this.#table = RouteTable.compile(routes);
    this.#targets = routes.map(({ name }, index) => ({ route: name, pool: pools[index] as Pool }));
    this.#pathRules = pathRules;
  }

  /**
   * The one reading of a request's path, which is matched, forwarded and logged.
   * @param path as in `RequestFacts`: the same string comes back as a rule.
   * @returns null for a path that is refused.
   */
  pathOf(path: string): string | null {
    return this.#table.looksAtPaths ? normalPath(path, this.#pathRules) : path;
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
): Router | null {
  const targets = routes.map(({ action }) => pools.get(action.poolId) as Pool);
  const [only] = routes;
  const [first] = pools.values();
  if (routes.length === 1 && only !== undefined && matchesAll(only.match) && targets[0] === first) {
    return null;
  }
  return new Router(routes, targets, pathRules);
}
