/** The configuration in force, in the words of a config file: made from `Settings`, so that it cannot say anything else. */
import { isDeepStrictEqual } from 'node:util';
import type { RequestKey, SessionCookie, Sticky } from '../snapshot/snapshot.ts';
import { RETRIES_OFF } from './compile-policies.ts';
import { formatDuration } from './duration.ts';
import { isMapping } from './layer.ts';
import type { BackendSettings, PoolSettings, Settings, ValueOrigin } from './settings.ts';
import { formatSize } from './size.ts';

/** Where a value comes from. */
export interface ValueSource {
  readonly origin: ValueOrigin;
  /** `fairlead.config.yaml:3`, the variable or the flag; empty for a default. */
  readonly detail: string;
}

/** Keyed by path: `port`, `timeouts.head`, `backends`, `backends.0`, `backends.0.weight`. */
export type Origins = ReadonlyMap<string, ValueSource>;

export interface EffectiveConfig {
  /** A complete config: read back, it means the same, but for secrets (`***`). */
  readonly config: Readonly<Record<string, unknown>>;
  /** For every path of `config`: `default`, `file fairlead.config.yaml:3`, `environment FAIRLEAD_PORT`, `flag --port`. */
  readonly origins: Readonly<Record<string, string>>;
}

const HIDDEN = '***';
/** Long enough for the check of the config that it stands in. */
const HIDDEN_SECRET = '*'.repeat(16);

export function effectiveConfig(settings: Settings, origins: Origins): EffectiveConfig {
  const config = configOf(settings);
  const described = pathsOf(config).map((path): [string, string] => [
    path,
    formatSource(origins.get(path)),
  ]);
  return { config, origins: Object.fromEntries(described) };
}

/** What differs between two configs, by path: `strategy`, `backends`, `timeouts.head`. A list is one value. */
export function changedPaths(before: unknown, after: unknown, path = ''): string[] {
  if (!isMapping(before) || !isMapping(after)) {
    return isDeepStrictEqual(before, after) ? [] : [path];
  }
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) =>
    changedPaths(before[key], after[key], path === '' ? key : `${path}.${key}`),
  );
}

function formatSource(source: ValueSource | undefined): string {
  if (source === undefined || source.detail === '') return source?.origin ?? 'default';
  return `${source.origin} ${source.detail}`;
}

/** The path of every value, of every list and of every item of a list. */
export function pathsOf(value: unknown, path = ''): string[] {
  const below = (key: string | number): string => (path === '' ? String(key) : `${path}.${key}`);
  if (Array.isArray(value)) {
    return [path, ...value.flatMap((item, index) => pathsOf(item, below(index)))];
  }
  if (!isMapping(value)) return [path];
  return Object.entries(value).flatMap(([key, item]) => pathsOf(item, below(key)));
}

export function configOf(settings: Settings): Readonly<Record<string, unknown>> {
  const { admin, tls, limits, forwarding, accessLog } = settings;
  const [pool] = settings.pools;
  const { healthCheck, hostHeader, timeouts } = pool;
  return {
    port: settings.port,
    host: settings.host ?? '*',
    admin_port: admin.port,
    admin: { host: admin.host, ...(admin.token === undefined ? {} : { token: HIDDEN }) },
    threads: settings.threads,
    strategy: pool.strategy,
    hash: keyOf(pool.hashKey),
    backends: pool.backends.map(backendOf),
    health_check_method: healthCheck.method,
    health_check_path: healthCheck.path,
    health_check_frequency: formatDuration(healthCheck.intervalMs),
    health_check_down_frequency: formatDuration(healthCheck.downIntervalMs),
    health_check_timeout: formatDuration(healthCheck.timeoutMs),
    health_check_rise: healthCheck.rise,
    health_check_fall: healthCheck.fall,
    timeouts: {
      head: formatDuration(settings.timeouts.headMs),
      connect: formatDuration(timeouts.connectMs),
      response: formatDuration(timeouts.responseMs),
      idle: formatDuration(timeouts.idleMs),
      keep_alive: formatDuration(settings.timeouts.keepAliveMs),
      backend_keep_alive: formatDuration(timeouts.backendKeepAliveMs),
      backend_max_age: durationOrFalse(timeouts.backendMaxAgeMs),
      tunnel: formatDuration(timeouts.tunnelMs),
      total: durationOrFalse(timeouts.totalMs),
      drain: formatDuration(settings.drainMs),
    },
    limits: {
      request_line: formatSize(limits.requestLineBytes),
      head: formatSize(limits.headBytes),
      fields: limits.fields,
      body: formatSize(limits.bodyBytes),
      client_connections: limits.clientConnections,
      connections_per_client: limits.connectionsPerClient,
      buffered: formatSize(limits.bufferedBytes),
    },
    ...policiesOf(pool),
    host_header: hostHeader.kind === 'fixed' ? hostHeader.value : hostHeader.kind,
    trusted_proxies: forwarding.trustedProxies,
    forwarded: forwarding.sendForwarded,
    x_forwarded: forwarding.sendXForwarded,
    via: forwarding.sendVia,
    location: forwarding.rewritesLocation ? 'rewrite' : 'keep',
    upgrade: forwarding.upgrades,
    lenient_responses: pool.hasLenientResponses,
    access_log:
      accessLog === false ? false : accessLog.target === 'stdout' || accessLog.target.file,
    ...(accessLog === false ? {} : { access_log_format: accessLog.format }),
    log_level: settings.logLevel,
    state_file: settings.stateFile ?? false,
    ssl:
      tls === undefined
        ? { enabled: false }
        : { enabled: true, cert_file: tls.certFile, key_file: tls.keyFile },
  };
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
function policiesOf(pool: PoolSettings): Readonly<Record<string, unknown>> {
  const { queue, sticky, retries, outlier, breaker, rateLimit } = pool;
  return {
    max_connections: pool.maxConnections,
    max_requests: pool.maxRequests,
    queue: queue.size > 0 && { size: queue.size, timeout: formatDuration(queue.timeoutMs) },
    sticky: sticky !== null && {
      ...stickyKeyOf(sticky),
      ttl: formatDuration(sticky.ttlMs),
      ...(sticky.secret === undefined ? {} : { secret: HIDDEN_SECRET }),
      ...cookieOf(sticky.cookie),
    },
    retries: !isDeepStrictEqual(retries, RETRIES_OFF) && {
      attempts: retries.attempts,
      per_try_timeout: durationOrFalse(retries.perTryTimeoutMs),
      on_status: retries.onStatus,
      budget_percent: retries.budgetPercent,
      replay_buffer: formatSize(retries.replayBufferBytes),
      backoff: durationOrFalse(retries.backoffMs),
      hedge_after: durationOrFalse(retries.hedgeAfterMs),
      non_idempotent: retries.nonIdempotent,
    },
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
    rate_limit: rateLimit !== null && {
      rate: rateLimit.rate,
      per: formatDuration(rateLimit.perMs),
      burst: rateLimit.burst,
      ...keyOf(rateLimit.key),
    },
    slow_start: durationOrFalse(pool.slowStartMs),
    panic_threshold_percent: pool.panicThresholdPercent,
  };
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
