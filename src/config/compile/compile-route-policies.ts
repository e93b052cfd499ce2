/** The policies of a route's own, from those that are written; what can't take effect beside those of its pools is an error. */
import type { Retries, RoutePolicies } from '../../snapshot/policies.ts';
import type { MergedConfig } from '../merge.ts';
import { formatPlace } from '../problem.ts';
import type { Path } from '../read/layer.ts';
import type { Config } from '../schema/schema.ts';
import type { PoolSettings } from '../settings.ts';
import { formatDuration } from '../values/duration.ts';
import { RETRIES_OFF, rateLimitOf } from './compile-policies.ts';
import type { Report } from './policy-report.ts';

type RouteConfig = Config['routes'][number];

/** @param pools those that its requests may get to. */
export function compileRoutePolicies(
  { placeOf }: MergedConfig,
  route: RouteConfig,
  index: number,
  pools: readonly PoolSettings[],
  report: Report,
): RoutePolicies | null {
  const { timeouts, retries, limits, rate_limit: rateLimit } = route;
  if ([timeouts, retries, limits, rateLimit].every((one) => one === undefined)) return null;
  const view = {
    placeOf: (path: Path, part?: 'key' | 'value') => placeOf(['routes', index, ...path], part),
    isSound: () => true,
  };
  const policies = {
    timeouts: timeoutsOf(timeouts ?? {}),
    retries: retriesOf(retries ?? {}),
    ...(limits?.body === undefined ? {} : { bodyBytes: limits.body }),
    ...(rateLimit === undefined
      ? {}
      : { rateLimit: rateLimit === false ? null : rateLimitOf(view, report, rateLimit) }),
  };
  for (const pool of pools) {
    refuseIdle(policies, pool, report, (path) => formatPlace(view.placeOf(path)));
  }
  return policies;
}

function timeoutsOf(given: NonNullable<RouteConfig['timeouts']>): RoutePolicies['timeouts'] {
  return sound({
    connectMs: given.connect,
    responseMs: given.response,
    idleMs: given.idle,
    tunnelMs: given.tunnel,
    totalMs: given.total,
  });
}

function retriesOf(given: NonNullable<RouteConfig['retries']>): RoutePolicies['retries'] {
  if (given === false) return RETRIES_OFF;
  return sound({
    attempts: given.attempts,
    perTryTimeoutMs: given.per_try_timeout,
    onStatus: given.on_status,
    onGrpcStatus: given.on_grpc_status,
    budgetPercent: given.budget_percent,
    replayBufferBytes: given.replay_buffer,
    backoffMs: given.backoff,
    // Where the pool has hedges, one attempt means that there is no second beside it either.
    hedgeAfterMs: given.attempts === 1 ? (given.hedge_after ?? 0) : given.hedge_after,
    nonIdempotent: given.non_idempotent,
  });
}

/** Without what is not given. */
function sound<Values extends object>(values: Values): SoundOf<Values> {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as SoundOf<Values>;
}

type SoundOf<Values> = { [Key in keyof Values]?: Exclude<Values[Key], undefined> };

/** What the route has asked for itself, and only then: it may shorten a timeout without a look at the retries of its pools. */
function refuseIdle(
  { timeouts, retries }: RoutePolicies,
  pool: PoolSettings,
  report: Report,
  whereIs: (path: Path) => string,
): void {
  const all: Retries = { ...pool.retries, ...retries };
  const ofPool = (key: string): string => `${key} of the pool ${pool.name}`;
  const limits = [
    ['response', timeouts.responseMs, pool.timeouts.responseMs],
    ['total', timeouts.totalMs, pool.timeouts.totalMs],
  ] as const;
  const mustBeShorter = (key: 'per_try_timeout' | 'hedge_after', ms: number): void => {
    for (const [name, own, others] of limits) {
      const limitMs = own ?? others;
      if (limitMs === 0 || ms < limitMs) continue;
      const path = ['timeouts', name] as const;
      const what =
        own === undefined
          ? `${ofPool(path.join('.'))}, which is ${formatDuration(limitMs)}`
          : `${path.join('.')}, which is ${formatDuration(limitMs)} (${whereIs(path)})`;
      report.problem(['retries', key], `must be shorter than ${what}`);
      return;
    }
  };
  const { perTryTimeoutMs = 0, hedgeAfterMs = 0 } = retries;
  if (perTryTimeoutMs > 0) mustBeShorter('per_try_timeout', perTryTimeoutMs);
  if (hedgeAfterMs === 0) return;
  if (all.attempts === 1) {
    const what = retries.attempts === undefined ? ofPool('retries.attempts') : 'retries.attempts';
    report.problem(['retries', 'hedge_after'], `needs a second attempt, but ${what} is 1`);
  } else if (all.perTryTimeoutMs > 0 && hedgeAfterMs >= all.perTryTimeoutMs) {
    const of =
      retries.perTryTimeoutMs === undefined ? ofPool('retries.per_try_timeout') : 'per_try_timeout';
    const message = `must be shorter than ${of}, which is ${formatDuration(all.perTryTimeoutMs)}`;
    report.problem(['retries', 'hedge_after'], message);
  } else {
    mustBeShorter('hedge_after', hedgeAfterMs);
  }
}
