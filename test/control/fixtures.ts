/** Settings, logs and workers that the control plane's tests share. */

import type { AccessLogSettings } from '../../src/config/settings.ts';
import {
  type BackendAddress,
  type BackendSettings,
  DEFAULT_POOL,
  type ListenerSettings,
  type PoolSettings,
  type Settings,
} from '../../src/config/settings.ts';
import { parseBackendUrl } from '../../src/config/values/backend-url.ts';
import type { PoolRegistry } from '../../src/control/pool-registry.ts';
import { Registry, type RegistryOptions } from '../../src/control/registry.ts';
import type { Logger } from '../../src/observe/logger.ts';
import { LOG_FIELDS } from '../../src/snapshot/access-log-rules.ts';
import { MATCHES_ALL } from '../../src/snapshot/route.ts';

export function address(url: string): BackendAddress {
  const parsed = parseBackendUrl(url);
  if (!parsed.ok) throw new Error(`${url} ${parsed.reason}`);
  return parsed.address;
}

export function backend(url: string, weight = 1): BackendSettings {
  return { ...address(url), weight, isBackup: false };
}

/** As the short form has them: those of the process, and of the pool `default`. */
export type FlatSettings = Omit<Settings, 'pools' | 'timeouts' | 'listeners'> &
  Omit<PoolSettings, 'name' | 'timeouts'> & {
    readonly host: string | undefined;
    readonly port: number;
    readonly tls: ListenerSettings['tls'];
    readonly timeouts: Settings['timeouts'] & PoolSettings['timeouts'];
  };

/** @param others beside the pool `default`. */
export function settings(
  changes: Partial<FlatSettings> = {},
  others: readonly PoolSettings[] = [],
): Settings {
  const { host, port, tls, ...flat } = flatSettings(changes);
  const listener: ListenerSettings = {
    path: 'port',
    address: { kind: 'tcp', host, port },
    tls,
    proxyProtocol: null,
    httpsPort: 0,
    http2: true,
    h2c: false,
  };
  return { ...flat, listeners: [listener], pools: [poolOf(flat), ...others] };
}

/** Of a pool beside `default`. */
export function poolSettings(name: string, changes: Partial<FlatSettings> = {}): PoolSettings {
  return { ...poolOf(flatSettings(changes)), name };
}

function poolOf(flat: Pick<FlatSettings, (typeof POOL_KEYS)[number]>): PoolSettings {
  return { name: DEFAULT_POOL, ...pick(flat, POOL_KEYS) };
}

const POOL_KEYS = [
  'strategy',
  'backends',
  'discovery',
  'maxConnections',
  'maxRequests',
  'hashKey',
  'sticky',
  'retries',
  'queue',
  'rateLimit',
  'outlier',
  'breaker',
  'slowStartMs',
  'panicThresholdPercent',
  'healthCheck',
  'backendTls',
  'hasLenientResponses',
  'protocol',
  'hostHeader',
  'proxyVersion',
  'timeouts',
] as const satisfies readonly (keyof PoolSettings)[];

function pick<T, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.map((key) => [key, from[key]])) as Pick<T, K>;
}

/** The pool `default` of a registry of its own. */
export function poolRegistry(options: RegistryOptions): PoolRegistry {
  return new Registry(options).defaultPool;
}

export function flatSettings(changes: Partial<FlatSettings> = {}): FlatSettings {
  return {
    host: '127.0.0.1',
    port: 0,
    admin: {
      host: '127.0.0.1',
      port: 0,
      token: undefined,
      tokens: null,
      rates: null,
      isOff: false,
      unix: null,
      tls: undefined,
    },
    threads: 1,
    tracing: null,
    instances: 1,
    cluster: null,
    redis: null,
    tls: undefined,
    strategy: 'round-robin',
    backends: [],
    discovery: null,
    maxConnections: 0,
    maxRequests: 0,
    hashKey: { by: 'ip', name: '' },
    sticky: null,
    retries: {
      attempts: 3,
      perTryTimeoutMs: 0,
      onStatus: [],
      onGrpcStatus: [],
      budgetPercent: 20,
      replayBufferBytes: 65_536,
      backoffMs: 25,
      hedgeAfterMs: 0,
      nonIdempotent: false,
    },
    queue: { size: 0, timeoutMs: 5000 },
    rateLimit: null,
    outlier: null,
    breaker: null,
    slowStartMs: 0,
    panicThresholdPercent: 0,
    healthCheck: {
      method: 'http',
      ...PLAIN_CHECK,
      path: '/health',
      intervalMs: 10_000,
      downIntervalMs: 1000,
      timeoutMs: 1000,
      rise: 2,
      fall: 3,
    },
    backendTls: null,
    hasLenientResponses: false,
    defaultForm: 'short',
    paths: { keepsEncodedSlashes: false, mergesSlashes: true },
    errorPages: [],
    routes: [
      {
        name: DEFAULT_POOL,
        match: MATCHES_ALL,
        action: { kind: 'pool', pool: DEFAULT_POOL },
        rewriting: null,
        maintenance: null,
        access: null,
        cors: null,
        errorPages: [],
        policies: null,
        mirror: null,
      },
    ],
    routedPools: [DEFAULT_POOL],
    timeouts: {
      headMs: 10_000,
      connectMs: 2000,
      responseMs: 10_000,
      idleMs: 60_000,
      keepAliveMs: 75_000,
      backendKeepAliveMs: 60_000,
      backendMaxAgeMs: 300_000,
      backendPingMs: 5_000,
      tunnelMs: 3_600_000,
      totalMs: 0,
    },
    drainMs: 1000,
    limits: {
      requestLineBytes: 16_384,
      headBytes: 32_768,
      fields: 100,
      bodyBytes: 0,
      clientConnections: 0,
      connectionsPerClient: 0,
      bufferedBytes: 0,
      keptRequestsBytes: 0,
      http2: { streams: 100, resets: 1_000, controlFrames: 10_000, continuations: 8 },
    },
    protocol: 'http1',
    hostHeader: { kind: 'client' },
    proxyVersion: null,
    forwarding: {
      trustedProxies: [],
      sendForwarded: false,
      sendXForwarded: true,
      sendVia: true,
      rewritesLocation: false,
      upgrades: ['websocket'],
    },
    accessLog: accessLogTo('stdout'),
    isWatched: false,
    logLevel: 'debug',
    stateFile: undefined,
    configFile: undefined,
    ...changes,
  };
}

/** As it is without any more said of it. */
export function accessLogTo(target: AccessLogSettings['target']): AccessLogSettings {
  return {
    target,
    format: 'json',
    fields: LOG_FIELDS,
    headers: [],
    percent: 100,
    slowMs: 1_000,
    redactedParameters: ['token'],
    redactedHeaders: ['cookie'],
  };
}

/** The ids that the strategy picks from. */
export function pickedIds(registry: PoolRegistry): number[] {
  return registry.eligibility().picks.map(({ id }) => id);
}

export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface RecordedLog extends Logger {
  readonly lines: readonly LogLine[];
  /** Events in their order, of one kind if asked. */
  events(prefix?: string): string[];
}

export function recordLog(): RecordedLog {
  const lines: LogLine[] = [];
  const at =
    (level: string) =>
    (event: string, message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      lines.push({ level, event, message, fields });
    };
  return {
    lines,
    events: (prefix = '') =>
      lines.map(({ event }) => event).filter((event) => event.startsWith(prefix)),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
  };
}

/** A data thread that obeys, and dies on request: see the file. */
export const STUB_WORKER = new URL('stub-worker.mjs', import.meta.url);

/** Of a check that asks for nothing in particular. */
export const PLAIN_CHECK = {
  host: '',
  port: 0,
  headers: [],
  expectStatus: [[200, 299]],
  expectBody: '',
  service: '',
  isLenient: false,
  protocol: 'http1',
  proxyVersion: null,
  tls: null,
} as const;
