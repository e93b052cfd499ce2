/** `/pools`: which there are, and how they are. What is of one pool stands under `/pools/{pool}`: see `Route.isOfPool`. */
import { readPoolCounters } from '../../snapshot/pool-counters.ts';
import { isAlive } from '../backend.ts';
import type { PoolSearch } from '../discovery/discovery.ts';
import type { PoolRegistry } from '../pool-registry.ts';
import type { Registry } from '../registry.ts';
import { wallTime } from '../steady-time.ts';
import { pool as poolForm, pools as poolsForm } from './answers.ts';
import { clip } from './body.ts';
import { etagOf } from './etag.ts';
import { answer } from './form.ts';
import { ProblemError } from './problem.ts';
import type { AdminCall, Route } from './router.ts';

export interface PoolRoutesOptions {
  readonly registry: Registry;
  readonly threadCount: number;
  /** Undefined: the pool has a list of backends, and no source of them. */
  readonly search: (pool: string) => PoolSearch | undefined;
}

export function poolRoutes({ registry, threadCount, search }: PoolRoutesOptions): Route[] {
  const view = (pool: PoolRegistry): object => ({
    ...viewPool(pool, registry, threadCount),
    discovery: viewSearch(search(pool.name), pool.now()),
  });
  return [
    {
      path: '/pools',
      summary: 'the pools; under /pools/{pool} stand the calls of one',
      methods: {
        GET: {
          says: 'the pools',
          answers: { 200: answer('All.', poolsForm) },
          handle: () => ({
            status: 200,
            body: registry.pools().map(view),
            headers: { ETag: etagOf(registry) },
          }),
        },
      },
    },
    {
      path: '/pools/{pool}',
      summary: 'one pool',
      methods: {
        GET: {
          says: 'one pool',
          answers: { 200: answer('It.', poolForm) },
          handle: (call) => ({
            status: 200,
            body: view(poolOf(call, registry)),
            headers: { ETag: etagOf(registry) },
          }),
        },
      },
    },
  ];
}

/** The pool that a call is about. @throws ProblemError 404 */
export function poolOf({ params }: AdminCall, registry: Registry): PoolRegistry {
  const name = params['pool'] ?? '';
  const pool = registry.pool(name);
  if (pool !== undefined) return pool;
  throw unknownPool(`There is no pool ${JSON.stringify(clip(name))}.`);
}

export function unknownPool(detail: string): ProblemError {
  return new ProblemError(404, 'ERR_UNKNOWN_POOL', detail, { hint: 'GET /pools lists them' });
}

/** The field names are an interface: see docs. */
function viewPool(pool: PoolRegistry, { settings }: Registry, threadCount: number): object {
  const backends = pool.backends();
  return {
    name: pool.name,
    routed: settings.routedPools.includes(pool.name),
    strategy: pool.strategy,
    strategy_source: pool.strategySource,
    total_backends: backends.length,
    active_backends: backends.filter(isAlive).length,
    panic: pool.eligibility().isPanic,
    breaker: pool.live.poolBreaker.state,
    queued: readPoolCounters(pool.counters, threadCount).queued,
  };
}

/** Where its backends are found, and how that goes. */
function viewSearch(search: PoolSearch | undefined, now: number): object | null {
  if (search === undefined) return null;
  const { kind, shown, status } = search;
  const { lastSuccess, lastFault, keptAt } = status;
  return {
    source: kind,
    asks: shown,
    failing: status.isFailing,
    found: status.found,
    kept_from: keptAt === undefined ? null : new Date(keptAt).toISOString(),
    last_success: timeOrNull(lastSuccess),
    age_seconds:
      lastSuccess === undefined ? null : Math.max(0, Math.round(now - lastSuccess)) / 1000,
    last_fault: timeOrNull(lastFault),
    fault: lastFault === undefined ? null : status.reason,
    left_out: status.leftOut,
  };
}

function timeOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : wallTime(ms).toISOString();
}
