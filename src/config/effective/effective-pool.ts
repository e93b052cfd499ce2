/** A pool, in the words of a config file: those of the short form, or those below `pools`. */
import { isDeepStrictEqual } from 'node:util';
import { GRPC_STATUSES } from '../../grpc-status.ts';
import type { RateLimit, RequestKey, Retries } from '../../snapshot/policies.ts';
import { isSecretField } from '../../snapshot/secret-field.ts';
import type { SessionCookie, Sticky } from '../../snapshot/snapshot.ts';
import { formatStatuses } from '../compile/compile-health-check.ts';
import { RETRIES_OFF } from '../compile/compile-policies.ts';
import type {
  BackendSettings,
  BackendTlsSettings,
  HealthCheckSettings,
  PoolSettings,
} from '../settings.ts';
import { formatDuration } from '../values/duration.ts';
import { formatSize } from '../values/size.ts';
import { discoverOf } from './effective-discovery.ts';

/** Long enough for the check of the config that it stands in. */
const HIDDEN_SECRET = '*'.repeat(16);

function foundBy({ discovery }: PoolSettings) {
  return discovery === null ? {} : { discover: discoverOf(discovery) };
}

/**
 * What stands at the head of the short form.
 * @param hasBackends a list of backends, even an empty one, says that all is for them for which there is no route.
 */
export function shortFormOf(pool: PoolSettings, hasBackends: boolean) {
  return {
    strategy: pool.strategy,
    hash: keyOf(pool.hashKey),
    ...(hasBackends ? { backends: pool.backends.map(backendOf) } : {}),
    ...foundBy(pool),
    ...Object.fromEntries(
      Object.entries(healthCheckOf(pool)).map(([key, value]) => [`health_check_${key}`, value]),
    ),
  };
}

export function longFormOf(pool: PoolSettings): Readonly<Record<string, unknown>> {
  return {
    strategy: pool.strategy,
    hash: keyOf(pool.hashKey),
    backends: pool.backends.map(backendOf),
    ...foundBy(pool),
    health_check: healthCheckOf(pool),
    timeouts: poolTimeoutsOf(pool),
    ...policiesOf(pool),
    ...(pool.backendTls === null ? {} : { tls: backendTlsOf(pool.backendTls) }),
    protocol: pool.protocol,
    host_header: hostHeaderOf(pool),
    send_proxy_protocol: pool.proxyVersion ?? false,
    lenient_responses: pool.hasLenientResponses,
  };
}

function healthCheckOf({ healthCheck }: PoolSettings) {
  return {
    method: healthCheck.method,
    path: healthCheck.path,
    ...(healthCheck.host === '' ? {} : { host: healthCheck.host }),
    ...(healthCheck.port === 0 ? {} : { port: healthCheck.port }),
    ...(healthCheck.headers.length === 0 ? {} : { headers: headersOf(healthCheck) }),
    expect_status: formatStatuses(healthCheck.expectStatus),
    ...(healthCheck.expectBody === '' ? {} : { expect_body: healthCheck.expectBody }),
    ...(healthCheck.service === '' ? {} : { service: healthCheck.service }),
    frequency: formatDuration(healthCheck.intervalMs),
    down_frequency: formatDuration(healthCheck.downIntervalMs),
    timeout: formatDuration(healthCheck.timeoutMs),
    rise: healthCheck.rise,
    fall: healthCheck.fall,
  };
}

/** Of fields that say who asks, the value is nobody else's. */
function headersOf({ headers }: HealthCheckSettings) {
  return Object.fromEntries(
    headers.map(([name, value]) => [name, isSecretField(name) ? HIDDEN_SECRET : value]),
  );
}

export function poolTimeoutsOf({ timeouts }: PoolSettings) {
  return {
    connect: formatDuration(timeouts.connectMs),
    response: formatDuration(timeouts.responseMs),
    idle: formatDuration(timeouts.idleMs),
    backend_keep_alive: formatDuration(timeouts.backendKeepAliveMs),
    backend_max_age: durationOrFalse(timeouts.backendMaxAgeMs),
    backend_ping: durationOrFalse(timeouts.backendPingMs),
    tunnel: formatDuration(timeouts.tunnelMs),
    total: durationOrFalse(timeouts.totalMs),
  };
}

export function backendTlsOf(tls: BackendTlsSettings) {
  const { caFile, certFile, keyFile, serverName, verifies } = tls;
  return {
    ...(caFile === '' ? {} : { ca_file: caFile }),
    ...(certFile === '' ? {} : { cert_file: certFile, key_file: keyFile }),
    ...(serverName === '' ? {} : { server_name: serverName }),
    verify: verifies,
  };
}

export function hostHeaderOf({ hostHeader }: PoolSettings): string {
  return hostHeader.kind === 'fixed' ? hostHeader.value : hostHeader.kind;
}

/** A backend as a list of backends holds it: a URL alone where that says all. */
export function backendOf({
  url,
  weight,
  isBackup,
}: Pick<BackendSettings, 'url' | 'weight' | 'isBackup'>) {
  if (weight === 1 && !isBackup) return url;
  return { url, weight, ...(isBackup ? { backup: true } : {}) };
}

/** What is off is `false`, so that its origin is that of the `false`. */
export function policiesOf(pool: PoolSettings): Readonly<Record<string, unknown>> {
  const { queue, sticky, retries, outlier, breaker, rateLimit } = pool;
  return {
    max_connections: pool.maxConnections,
    max_requests: pool.maxRequests,
    queue: queue.size > 0 && { size: queue.size, timeout: formatDuration(queue.timeoutMs) },
    sticky: sticky !== null && {
      ...stickyKeyOf(sticky),
      ttl: formatDuration(sticky.ttlMs),
      ...(sticky.isShared && { scope: 'global' }),
      ...(sticky.secret === undefined ? {} : { secret: HIDDEN_SECRET }),
      ...cookieOf(sticky.cookie),
    },
    retries: retriesOf(retries),
    outlier_detection: outlier !== null && {
      enabled: true,
      consecutive_failures: outlier.consecutiveFailures,
      consecutive_5xx: outlier.consecutive5xx,
      failure_percent: outlier.failurePercent,
      min_requests: outlier.minRequests,
      interval: formatDuration(outlier.intervalMs),
      base_ejection: formatDuration(outlier.baseEjectionMs),
      max_ejection: formatDuration(outlier.maxEjectionMs),
      max_ejection_percent: outlier.maxEjectionPercent,
      slow_call: durationOrFalse(outlier.slowCallMs),
    },
    circuit_breaker: breaker !== null && {
      enabled: true,
      failure_percent: breaker.failurePercent,
      min_requests: breaker.minRequests,
      interval: formatDuration(breaker.intervalMs),
      open: formatDuration(breaker.openMs),
      half_open_requests: breaker.halfOpenRequests,
    },
    rate_limit: rateLimitOf(rateLimit),
    slow_start: durationOrFalse(pool.slowStartMs),
    panic_threshold_percent: pool.panicThresholdPercent,
  };
}

/** Also of a route, which has some of them only. */
export function retriesOf(retries: Partial<Retries>) {
  if (isDeepStrictEqual(retries, RETRIES_OFF)) return false;
  const { replayBufferBytes: replayBytes } = retries;
  return given({
    attempts: retries.attempts,
    per_try_timeout: durationOf(retries.perTryTimeoutMs),
    on_status: retries.onStatus,
    on_grpc_status: retries.onGrpcStatus?.map((status) => GRPC_STATUSES[status]),
    budget_percent: retries.budgetPercent,
    replay_buffer: replayBytes === undefined ? undefined : formatSize(replayBytes),
    backoff: durationOf(retries.backoffMs),
    hedge_after: durationOf(retries.hedgeAfterMs),
    non_idempotent: retries.nonIdempotent,
  });
}

export function rateLimitOf(limit: RateLimit | null) {
  return (
    limit !== null && {
      rate: limit.rate,
      per: formatDuration(limit.perMs),
      burst: limit.burst,
      ...keyOf(limit.key),
      ...(limit.scope !== undefined && { scope: limit.scope }),
      ...(limit.onEngineDown !== undefined && { on_engine_down: limit.onEngineDown }),
    }
  );
}

/** Without what is undefined. */
export function given(
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** 0 is none, and undefined is not given. */
export function durationOf(ms: number | undefined): string | false | undefined {
  return ms === undefined ? undefined : durationOrFalse(ms);
}

function keyOf({ by, name }: RequestKey) {
  return name === '' ? { by } : { by, name };
}

function stickyKeyOf({ key, learns }: Sticky) {
  if (learns === null) return keyOf(key);
  return learns === 'cookie' ? { by: 'learn', cookie: key.name } : { by: learns };
}

function cookieOf(cookie: SessionCookie | null) {
  if (cookie === null) return {};
  const { sameSite, secure, domain, path } = cookie;
  return { same_site: sameSite, secure, ...(domain === '' ? {} : { domain }), path };
}

function durationOrFalse(ms: number): string | false {
  return ms > 0 && formatDuration(ms);
}
