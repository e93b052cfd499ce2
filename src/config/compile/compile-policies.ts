/**
 * From the policies of a view configuration to those of `Settings`: names that a key needs, options that can never
 * take effect beside others (errors), and those that have none at the moment (notes).
 */
import type { RateLimit } from '../../snapshot/policies.ts';
import type { BreakerSettings, OutlierSettings, PoolSettings } from '../settings.ts';
import { formatDuration } from '../values/duration.ts';
import { compileKey } from './compile-key.ts';
import { compileSticky } from './compile-sticky.ts';
import { type Path, type Report, whereIs } from './policy-report.ts';
import type { PoolView } from './pool-view.ts';

export type PolicySettings = Pick<
  PoolSettings,
  | 'maxConnections'
  | 'maxRequests'
  | 'hashKey'
  | 'sticky'
  | 'retries'
  | 'queue'
  | 'rateLimit'
  | 'outlier'
  | 'breaker'
  | 'slowStartMs'
  | 'panicThresholdPercent'
>;

/** How long a request may wait in a queue that is off: never read, but a number all the same. */
const QUEUE_OFF = { size: 0, timeoutMs: 5000 } as const;

/** `retries: false`. */
export const RETRIES_OFF: PoolSettings['retries'] = {
  attempts: 1,
  perTryTimeoutMs: 0,
  onStatus: [],
  onGrpcStatus: [],
  budgetPercent: 20,
  replayBufferBytes: 64 * 1024,
  backoffMs: 25,
  hedgeAfterMs: 0,
  nonIdempotent: false,
};

export function compilePolicies(view: PoolView, report: Report): PolicySettings {
  const { config } = view;
  return {
    maxConnections: config.max_connections,
    maxRequests: compileMaxRequests(view, report),
    hashKey: compileHash(view, report),
    sticky: compileSticky(view, report),
    retries: compileRetries(view, report),
    queue: compileQueue(view, report),
    rateLimit: compileRateLimit(view, report),
    outlier: compileOutlier(view, report),
    breaker: compileBreaker(view),
    slowStartMs: config.slow_start,
    panicThresholdPercent: config.panic_threshold_percent,
  };
}

function compileMaxRequests(view: PoolView, report: Report): number {
  const { max_requests: requests, max_connections: connections } = view.config;
  const areSound = view.isSound('max_requests') && view.isSound('max_connections');
  if (connections > 0 && requests > connections && areSound) {
    const other = `max_connections, which is ${connections}${whereIs(view, ['max_connections'])}`;
    report.problem(
      ['max_requests'],
      `must not be more than ${other}: each request has a connection of its own`,
    );
  }
  return requests;
}

function compileHash(view: PoolView, report: Report): PoolSettings['hashKey'] {
  const { hash, strategy } = view.config;
  const key = compileKey(view, report, 'hash', hash);
  // By address is the default, which a printed config spells out.
  if (key.by !== 'ip' && view.isSound('strategy') && strategy !== 'consistent-hash') {
    report.note(`hash has no effect while the strategy is ${strategy}`);
  }
  return key;
}

function compileRetries(view: PoolView, report: Report): PoolSettings['retries'] {
  const { retries } = view.config;
  if (retries === false || !view.isSound('retries')) return RETRIES_OFF;
  const { attempts, per_try_timeout: perTryMs, hedge_after: hedgeMs } = retries;
  mustBeShorter(view, report, ['retries', 'per_try_timeout'], perTryMs, ...WHOLE);
  mustBeShorter(view, report, ['retries', 'hedge_after'], hedgeMs, PER_TRY, ...WHOLE);
  if (attempts === 1) {
    if (hedgeMs > 0) {
      const where = whereIs(view, ['retries', 'attempts']);
      report.problem(
        ['retries', 'hedge_after'],
        `needs a second attempt, but retries.attempts is 1${where}`,
      );
    }
    for (const key of MEANT_FOR_RETRIES.filter((one) => view.isGiven(['retries', one]))) {
      report.note(`retries.${key} has no effect while retries.attempts is 1`);
    }
  }
  return {
    attempts,
    perTryTimeoutMs: perTryMs,
    onStatus: retries.on_status,
    onGrpcStatus: retries.on_grpc_status,
    budgetPercent: retries.budget_percent,
    replayBufferBytes: retries.replay_buffer,
    backoffMs: retries.backoff,
    hedgeAfterMs: hedgeMs,
    nonIdempotent: retries.non_idempotent,
  };
}

const MEANT_FOR_RETRIES = [
  'on_status',
  'on_grpc_status',
  'budget_percent',
  'replay_buffer',
  'backoff',
  'non_idempotent',
] as const;

function compileQueue(view: PoolView, report: Report): PoolSettings['queue'] {
  const { config, isGiven, isSound } = view;
  const { queue, max_connections: maxConnections, max_requests: maxRequests } = config;
  if (queue === false) return QUEUE_OFF;
  const { total } = config.timeouts;
  // No error: a printed config spells out the default.
  if (total > 0 && queue.timeout >= total && isGiven(['queue', 'timeout'])) {
    report.note('queue.timeout has no effect beside timeouts.total, which is no longer');
  }
  // A half-open breaker lets only a few requests through: those that are too many wait as well.
  const isUnbounded = maxConnections === 0 && maxRequests === 0 && compileBreaker(view) === null;
  if (isUnbounded && isSound('max_connections') && isSound('max_requests')) {
    report.note(
      'queue has no effect without max_connections, max_requests or circuit_breaker: no backend is ever full',
    );
  }
  return { size: queue.size, timeoutMs: queue.timeout };
}

function compileRateLimit(view: PoolView, report: Report): PoolSettings['rateLimit'] {
  const { rate_limit: limit } = view.config;
  if (limit === false || !view.isSound('rate_limit')) return null;
  return rateLimitOf(view, report, limit);
}

/** Of a pool or of a route. */
export function rateLimitOf(
  view: Pick<PoolView, 'isSound' | 'placeOf'>,
  report: Report,
  limit: Exclude<PoolView['config']['rate_limit'], false>,
): RateLimit | null {
  const key = compileKey(view, report, 'rate_limit', limit);
  const { rate, per: perMs, scope } = limit;
  if (rate === undefined) {
    report.problem(['rate_limit', 'rate'], 'is missing: how many requests?', ['rate_limit']);
    return null;
  }
  const burst = limit.burst ?? rate;
  if (limit.on_engine_down !== undefined && scope !== 'global') {
    report.problem(['rate_limit', 'on_engine_down'], 'is for scope: global alone', [
      'rate_limit',
      'on_engine_down',
    ]);
  }
  const onEngineDown = limit.on_engine_down ?? 'local';
  return {
    key,
    rate,
    perMs,
    burst,
    ...(scope !== 'local' && { scope }),
    ...(scope === 'global' && { onEngineDown }),
  };
}

function compileOutlier(view: PoolView, report: Report): OutlierSettings | null {
  const { outlier_detection: outlier } = view.config;
  // `true` was settled as a mapping.
  if (typeof outlier === 'boolean' || !outlier.enabled || !view.isSound('outlier_detection')) {
    return null;
  }
  const { base_ejection: baseEjectionMs, max_ejection: maxEjectionMs } = outlier;
  if (maxEjectionMs < baseEjectionMs) {
    const key = view.isGiven(['outlier_detection', 'max_ejection'])
      ? 'max_ejection'
      : 'base_ejection';
    const [relation, other, otherMs] =
      key === 'max_ejection'
        ? (['shorter', 'base_ejection', baseEjectionMs] as const)
        : (['longer', 'max_ejection', maxEjectionMs] as const);
    const path = ['outlier_detection', other] as const;
    report.problem(
      ['outlier_detection', key],
      `must not be ${relation} than ${other}, which is ${formatDuration(otherMs)}${whereIs(view, path)}`,
    );
  }
  mustBeShorter(
    view,
    report,
    ['outlier_detection', 'slow_call'],
    outlier.slow_call,
    PER_TRY,
    ...WHOLE,
  );
  const { retries } = view.config;
  const hedgeMs = retries === false ? 0 : retries.hedge_after;
  if (hedgeMs > 0 && outlier.slow_call > hedgeMs && view.isSound('retries')) {
    report.note(
      'outlier_detection.slow_call is longer than retries.hedge_after: where a hedge answers in between, the slow call is not seen',
    );
  }
  if (outlier.max_ejection_percent === 0) {
    report.note('outlier_detection has no effect while its max_ejection_percent is 0');
  } else if (
    outlier.consecutive_failures === 0 &&
    outlier.consecutive_5xx === 0 &&
    outlier.failure_percent === 0
  ) {
    report.note(
      'outlier_detection has no effect while its consecutive_failures, consecutive_5xx and failure_percent are off',
    );
  }
  return {
    consecutiveFailures: outlier.consecutive_failures,
    consecutive5xx: outlier.consecutive_5xx,
    failurePercent: outlier.failure_percent,
    minRequests: outlier.min_requests,
    intervalMs: outlier.interval,
    baseEjectionMs,
    maxEjectionMs,
    maxEjectionPercent: outlier.max_ejection_percent,
    slowCallMs: outlier.slow_call,
  };
}

function compileBreaker({ config }: PoolView): BreakerSettings | null {
  const { circuit_breaker: breaker } = config;
  if (typeof breaker === 'boolean' || !breaker.enabled) return null;
  return {
    failurePercent: breaker.failure_percent,
    minRequests: breaker.min_requests,
    intervalMs: breaker.interval,
    openMs: breaker.open,
    halfOpenRequests: breaker.half_open_requests,
  };
}

const PER_TRY = ['retries', 'per_try_timeout'] as const;
const WHOLE = [
  ['timeouts', 'response'],
  ['timeouts', 'total'],
] as const;
type Timeout = typeof PER_TRY | (typeof WHOLE)[number];

/** What ends an attempt, or the whole request: what only comes later never comes. 0 is off. */
function mustBeShorter(
  view: PoolView,
  report: Report,
  path: Path,
  ms: number,
  ...limits: readonly Timeout[]
): void {
  const { timeouts, retries } = view.config;
  if (!['timeouts', 'request_timeout', 'backend_timeout'].every(view.isSound)) return;
  for (const limit of limits) {
    const [section, key] = limit;
    let limitMs = 0;
    if (section === 'timeouts') limitMs = timeouts[key];
    else if (retries !== false && view.isSound('retries')) limitMs = retries[key];
    if (limitMs === 0 || ms < limitMs) continue;
    const other = `${limit.join('.')}, which is ${formatDuration(limitMs)}`;
    report.problem(path, `must be shorter than ${other}${whereIs(view, limit)}`);
    return;
  }
}
