/** The configuration in force, in the words of a config file: made from `Settings`, so that it cannot say anything else. */
import { formatDuration } from './duration.ts';
import { isMapping } from './layer.ts';
import type { Settings, ValueOrigin } from './settings.ts';
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

export function effectiveConfig(settings: Settings, origins: Origins): EffectiveConfig {
  const config = configOf(settings);
  const described = pathsOf(config).map((path): [string, string] => [
    path,
    formatSource(origins.get(path)),
  ]);
  return { config, origins: Object.fromEntries(described) };
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
  const { admin, tls, healthCheck, timeouts, limits, forwarding, accessLog } = settings;
  const { hostHeader } = forwarding;
  return {
    port: settings.port,
    host: settings.host ?? '*',
    admin_port: admin.port,
    admin: { host: admin.host, ...(admin.token === undefined ? {} : { token: HIDDEN }) },
    threads: settings.threads,
    strategy: settings.strategy,
    backends: settings.backends.map(({ url, weight }) => (weight === 1 ? url : { url, weight })),
    health_check_method: healthCheck.method,
    health_check_path: healthCheck.path,
    health_check_frequency: formatDuration(healthCheck.intervalMs),
    health_check_timeout: formatDuration(healthCheck.timeoutMs),
    health_check_rise: healthCheck.rise,
    health_check_fall: healthCheck.fall,
    timeouts: {
      head: formatDuration(timeouts.headMs),
      connect: formatDuration(timeouts.connectMs),
      response: formatDuration(timeouts.responseMs),
      idle: formatDuration(timeouts.idleMs),
      keep_alive: formatDuration(timeouts.keepAliveMs),
      backend_keep_alive: formatDuration(timeouts.backendKeepAliveMs),
      tunnel: formatDuration(timeouts.tunnelMs),
      drain: formatDuration(settings.drainMs),
    },
    limits: {
      request_line: formatSize(limits.requestLineBytes),
      head: formatSize(limits.headBytes),
      fields: limits.fields,
      body: formatSize(limits.bodyBytes),
      client_connections: limits.clientConnections,
    },
    max_connections: settings.maxConnections,
    host_header: hostHeader.kind === 'fixed' ? hostHeader.value : hostHeader.kind,
    trusted_proxies: forwarding.trustedProxies,
    forwarded: forwarding.sendForwarded,
    access_log:
      accessLog === false ? false : accessLog.target === 'stdout' || accessLog.target.file,
    ...(accessLog === false ? {} : { access_log_format: accessLog.format }),
    log_level: settings.logLevel,
    state_file: settings.stateFile ?? false,
    ssl:
      tls === undefined
        ? { enabled: false }
        : { enabled: true, cert_file: tls.certFile, key_file: tls.keyFile },
    enable_sticky_sessions: false,
  };
}
