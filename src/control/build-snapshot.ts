/** Puts together what the data plane runs on. Pure: the same input gives an equal snapshot. */
import type { PoolSettings, Settings, TracingSettings } from '../config/settings.ts';
import { ALL } from '../snapshot/access-log-rules.ts';
import type { HttpChallenges } from '../snapshot/challenges.ts';
import type {
  BackendSnapshot,
  BackendTls,
  Eligibility,
  ListenerSnapshot,
  PoolSnapshot,
  Snapshot,
  Sticky,
  StrategyName,
} from '../snapshot/snapshot.ts';
import type { TracingRules } from '../snapshot/traced-exchange.ts';
import { accessLogRules } from './access-log-rules.ts';
import type { Backend } from './backend.ts';
import type { RouteCounts } from './route-counts.ts';
import { errorPagesOf, routeSnapshots } from './route-snapshots.ts';
import { sessionToken } from './session-token.ts';

export interface SnapshotParts {
  readonly instanceName: string;
  readonly generation: number;
  /** See `Snapshot.matching`. */
  readonly matching: number;
  readonly settings: Settings;
  readonly listeners: readonly ListenerSnapshot[];
  readonly pools: readonly PoolSnapshot[];
  readonly routeCounts: RouteCounts;
  /** See `Snapshot`. */
  readonly instances: number;
  readonly challenges: HttpChallenges;
}

export function buildSnapshot({
  instanceName,
  generation,
  matching,
  settings,
  listeners,
  pools,
  routeCounts,
  instances,
  challenges,
}: SnapshotParts): Snapshot {
  const { timeouts, limits, forwarding, paths, accessLog, tracing } = settings;
  const poolIds = new Map(pools.map(({ name, id }) => [name, id]));
  const errorPages = errorPagesOf(settings.errorPages);
  return {
    instanceName,
    generation,
    listeners,
    pools,
    routes: routeSnapshots(settings, errorPages, poolIds, routeCounts),
    matching,
    errorPages,
    paths,
    timeouts,
    limits,
    forwarding,
    accessLog: accessLogRules(accessLog),
    tracing: tracing && tracingRules(tracing),
    instances,
    challenges: challenges.size === 0 ? null : challenges,
  };
}

function tracingRules({ sample, redactedParameters }: TracingSettings): TracingRules {
  return { share: Math.round(sample * ALL), redactedParameters };
}

export interface PoolSnapshotParts {
  readonly id: number;
  readonly counters: SharedArrayBuffer;
  readonly settings: PoolSettings;
  readonly strategy: StrategyName;
  readonly backends: readonly Backend[];
  readonly eligibility: Eligibility;
  /** Signs session cookies; undefined where there are none. */
  readonly sessionSecret: string | undefined;
  /** What such cookies may be signed with as well. */
  readonly otherSecrets: readonly string[];
}

export function buildPoolSnapshot(parts: PoolSnapshotParts): PoolSnapshot {
  const { settings } = parts;
  const secret = settings.sticky?.cookie ? parts.sessionSecret : undefined;
  return {
    id: parts.id,
    name: settings.name,
    counters: parts.counters,
    strategy: parts.strategy,
    backends: parts.backends.map((backend) => backendSnapshot(backend, secret, parts.otherSecrets)),
    eligibility: parts.eligibility,
    maxConnections: settings.maxConnections,
    maxRequests: settings.maxRequests,
    hashKey: settings.hashKey,
    sticky: settings.sticky && withoutSecret(settings.sticky),
    retries: settings.retries,
    queue: settings.queue,
    rateLimit: settings.rateLimit,
    faults: {
      consecutiveFailures: settings.outlier?.consecutiveFailures ?? 0,
      consecutive5xx: settings.outlier?.consecutive5xx ?? 0,
      slowCallMs: settings.outlier?.slowCallMs ?? 0,
    },
    timeouts: settings.timeouts,
    protocol: settings.protocol,
    hostHeader: settings.hostHeader,
    proxyVersion: settings.proxyVersion,
    tls: settings.backendTls && withoutFiles(settings.backendTls),
    hasLenientResponses: settings.hasLenientResponses,
    hasBasePaths: hasBasePaths(settings, parts.backends),
  };
}

function hasBasePaths({ discovery }: PoolSettings, backends: readonly Backend[]): boolean {
  if (discovery !== null && discovery.basePath !== '') return true;
  return backends.some(({ address }) => address.basePath !== '');
}

function withoutFiles({ ca, cert, key, serverName, verifies }: BackendTls): BackendTls {
  return { ca, cert, key, serverName, verifies };
}

function withoutSecret({ key, ttlMs, cookie, learns, isShared }: Sticky): Sticky {
  return { key, ttlMs, cookie, learns, isShared };
}

function backendSnapshot(
  backend: Backend,
  secret: string | undefined,
  others: readonly string[],
): BackendSnapshot {
  const { url, tls, host, port, authority, socketPath, basePath } = backend.address;
  return {
    id: backend.id,
    url,
    tls,
    host,
    port,
    authority,
    socketPath,
    basePath,
    weight: backend.weight,
    sessionToken: secret === undefined ? '' : sessionToken(secret, url),
    otherTokens: secret === undefined ? [] : others.map((other) => sessionToken(other, url)),
    counters: backend.counters,
  };
}
