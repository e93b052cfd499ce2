/** Where requests go, by the routes of a snapshot. */
import type { ErrorCode } from '../../errors.ts';
import { matchesAll, type RouteSnapshot, readsPath } from '../../snapshot/route.ts';
import { BAD_HOST } from '../route/host-index.ts';
import { NO_ROUTE, RouteTable } from '../route/route-table.ts';
import type { Head } from '../wire/head.ts';
import { normalPath, type PathRules } from '../wire/path.ts';
import type { RequestFacts } from '../wire/request.ts';
import { leadsToTheSame, type Target, type TargetParts, targetOf } from './target.ts';
import { hasTerms } from './terms.ts';

export class Router {
  /** Made of nothing but what the routes match. */
  readonly table: RouteTable;
  readonly #readsPaths: boolean;
  /** By the index of a route. */
  readonly #targets: readonly Target[];
  readonly #pathRules: PathRules;
  readonly #routes: readonly RouteSnapshot[];
  readonly #parts: TargetParts;

  constructor(
    routes: readonly RouteSnapshot[],
    parts: TargetParts,
    previous: Router | null,
    matchTheSame: boolean,
  ) {
    const { pathRules } = parts;
    this.#readsPaths = parts.haveBasePaths || routes.some(readsPath);
    const known = matchTheSame ? previous?.table : undefined;
    this.table = known ?? RouteTable.compile(routes);
    const before = previous === null ? undefined : previous.#targetsThatHold(parts);
    this.#targets = routes.map((route) => before?.get(route) ?? targetOf(route, parts));
    this.#pathRules = pathRules;
    this.#routes = routes;
    this.#parts = parts;
  }

  /** Those that would be made again. */
  #targetsThatHold(parts: TargetParts): Map<RouteSnapshot, Target> {
    const held = new Map<RouteSnapshot, Target>();
    for (const [index, route] of this.#routes.entries()) {
      if (!leadsToTheSame(route, this.#parts, parts)) continue;
      held.set(route, this.#targets[index] as Target);
    }
    return held;
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
    const index = this.table.find(facts, head, isTrusted);
    if (index === NO_ROUTE) return 'ERR_NO_ROUTE';
    return index === BAD_HOST ? 'ERR_BAD_HOST' : (this.#targets[index] as Target);
  }
}

/**
 * Null where all requests go to the first pool: then none of them is looked at.
 * @param previous what of it holds is taken over. @param matchTheSame its routes match what these match.
 */
export function createRouter(
  routes: readonly RouteSnapshot[],
  parts: TargetParts,
  previous: Router | null,
  matchTheSame: boolean,
): Router | null {
  const [only] = routes;
  const [first] = parts.pools.keys();
  const isPlain = only !== undefined && isPlainRouteTo(only, first);
  if (routes.length === 1 && isPlain && !parts.haveBasePaths) return null;
  return new Router(routes, parts, previous, matchTheSame);
}

function isPlainRouteTo(route: RouteSnapshot, poolId: number | undefined): boolean {
  const { match, action, rewriting, policies, mirror } = route;
  if (action.kind !== 'pool' || action.poolId !== poolId || hasTerms(route)) return false;
  return rewriting === null && policies === null && mirror === null && matchesAll(match);
}
