/** Where the requests of a route go, and by which rules: made with a snapshot, so that a request finds one object. */
import type { RouteSnapshot } from '../../snapshot/route.ts';
import { RouteCounters } from '../../snapshot/route-counters.ts';
import { rewritingBesideCors } from '../route/cors.ts';
import { RouteRewriting } from '../route/rewriting.ts';
import type { PathRules } from '../wire/path.ts';
import { MirrorRule } from './mirror-rule.ts';
import { type Policies, type RateParts, routePolicies } from './policies.ts';
import type { Pool } from './pool.ts';
import type { PoolView } from './pool-view.ts';
import { Split } from './split.ts';
import { createTerms, type RouteTerms } from './terms.ts';

/** A route, and where it leads. */
export interface Target {
  /** For the log: see `RouteSnapshot`. */
  readonly route: string;
  readonly routeCounters: RouteCounters;
  /** The first one where the route leads to none: that counts for the request as for one without a route. */
  readonly pool: Pool;
  readonly policies: Policies;
  /** Null: all may go there. */
  readonly terms: RouteTerms | null;
  /** What is changed on the way; null: nothing. */
  readonly rewriting: RouteRewriting | null;
  /** Set: some of its requests go to another pool as well. */
  readonly mirror: MirrorRule | null;
  /** Set: it says which part of the route the request gets, and that is where it leads. */
  readonly split: Split<Target> | null;
  /** Of a route that is split, for the log: the name of the part. */
  readonly part: string | null;
}

/** What routes are compiled with: of their snapshot. */
export interface TargetParts {
  readonly pools: ReadonlyMap<number, Pool>;
  /** By pool; not in force yet. */
  readonly views: ReadonlyMap<number, PoolView>;
  readonly rates: RateParts;
  /** See `Snapshot`. */
  readonly instances: number;
  readonly threadIndex: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly pathRules: PathRules;
  /** Backends are told of a prefix that was taken off. */
  readonly sendsXForwarded: boolean;
  /** A backend has a path in its URL: paths are read, lest one leads out of it. */
  readonly haveBasePaths: boolean;
}

/** Whether this route would be compiled to what it was compiled to before. */
export function leadsToTheSame(
  { action, mirror }: RouteSnapshot,
  before: TargetParts,
  now: TargetParts,
): boolean {
  const isAllTheSame =
    before.instances === now.instances &&
    before.pathRules === now.pathRules &&
    before.sendsXForwarded === now.sendsXForwarded;
  if (!isAllTheSame) return false;
  const isSame = (poolId: number): boolean => before.views.get(poolId) === now.views.get(poolId);
  if (mirror !== null && !isSame(mirror.poolId)) return false;
  if (action.kind === 'split') return action.parts.every(({ poolId }) => isSame(poolId));
  if (action.kind === 'pool') return isSame(action.poolId);
  const [first] = before.pools.keys();
  const [firstNow] = now.pools.keys();
  return firstNow !== undefined && first === firstNow && isSame(first);
}

export function targetOf(route: RouteSnapshot, parts: TargetParts): Target {
  const { action, cors } = route;
  const written = cors === null ? route.rewriting : rewritingBesideCors(route.rewriting);
  const { pathRules, sendsXForwarded } = parts;
  const rewriting =
    written === null ? null : new RouteRewriting(written, pathRules, sendsXForwarded);
  const mirror = mirrorOf(route, parts);
  const terms = createTerms(route, pathRules);
  const routeCounters = new RouteCounters(route.counters, parts.threadIndex);
  const targetIn = (poolId: number, part: string | null): Target => ({
    route: route.name,
    routeCounters,
    pool: parts.pools.get(poolId) as Pool,
    policies: policiesIn(route, poolId, parts),
    terms,
    rewriting,
    mirror,
    split: null,
    part,
  });
  if (action.kind !== 'split') {
    const [first] = parts.pools.keys();
    return targetIn(action.kind === 'pool' ? action.poolId : (first as number), null);
  }
  const ofParts = action.parts.map(({ poolId, weight, name }) => {
    const view = parts.views.get(poolId) as PoolView;
    return { name, weight, view, target: targetIn(poolId, name) };
  });
  const [first] = ofParts;
  return { ...(first?.target as Target), split: new Split(ofParts, parts.random()) };
}

function policiesIn(
  { match, policies: own }: RouteSnapshot,
  poolId: number,
  { pools, views, rates, instances }: TargetParts,
): Policies {
  const { spec, policies } = views.get(poolId) as PoolView;
  if (own === null) return policies;
  const { counters } = pools.get(poolId) as Pool;
  const allowances = {
    ...rates,
    instances,
    onEvicted: () => counters.rateEvicted(),
    onAlone: () => counters.rateDecidedAlone(),
  };
  // By what it is for: its place in the config may become another one.
  const owner = `route ${JSON.stringify(match)}`;
  return routePolicies(own, owner, spec, policies, allowances);
}

function mirrorOf({ mirror }: RouteSnapshot, parts: TargetParts): MirrorRule | null {
  if (mirror === null) return null;
  const { poolId, percent } = mirror;
  const pool = parts.pools.get(poolId) as Pool;
  return new MirrorRule(pool, parts.views.get(poolId) as PoolView, percent, parts.random());
}
