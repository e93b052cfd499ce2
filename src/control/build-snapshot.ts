/**
 * Puts together what the data plane runs on. Pure: the same input gives an equal snapshot. Of the one before, whatever has not changed is
 * the same object, and not made again where that would take its time.
 */

import type { PoolSettings, Settings, TracingSettings } from '../config/settings.ts';
import { isSame } from '../config/values/same.ts';
import { ALL } from '../snapshot/access-log-rules.ts';
import type { HttpChallenges } from '../snapshot/challenges.ts';
import type { RouteSnapshot } from '../snapshot/route.ts';
import type { ErrorPages } from '../snapshot/route-answer.ts';
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
import { asBefore, fieldsAsBefore, listAsBefore } from './as-before.ts';
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

/** A snapshot, and what it was made of. */
export interface BuiltSnapshot {
  readonly settings: Settings;
  readonly snapshot: Snapshot;
}

export function buildSnapshot(parts: SnapshotParts, before?: BuiltSnapshot): BuiltSnapshot {
  const { instanceName, generation, matching, settings, listeners, pools } = parts;
  const { instances, challenges } = parts;
  const { timeouts, limits, forwarding, paths, accessLog, tracing } = settings;
  const areRoutesAsBefore =
    before?.settings.routes === settings.routes &&
    before.settings.errorPages === settings.errorPages &&
    before.settings.tracing === tracing &&
    isSame(idsOf(before.snapshot.pools), idsOf(pools));
  const errorPages = errorPagesOf(settings.errorPages);
  const snapshot: Snapshot = {
    instanceName,
    generation,
    listeners,
    pools,
    routes: areRoutesAsBefore
      ? before.snapshot.routes
      : listAsBefore(before?.snapshot.routes, routesOf(parts, errorPages)),
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
  return { settings, snapshot: fieldsAsBefore(before?.snapshot, snapshot) };
}

function routesOf(
  { settings, pools, routeCounts }: SnapshotParts,
  errorPages: ErrorPages,
): readonly RouteSnapshot[] {
  const poolIds = new Map(pools.map(({ name, id }) => [name, id]));
  return routeSnapshots(settings, errorPages, poolIds, routeCounts);
}

/** A name is the same as long as the id is. */
function idsOf(pools: readonly PoolSnapshot[]): readonly number[] {
  return pools.map(({ id }) => id);
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

/** The snapshot of a pool, and what it was made of. */
export interface BuiltPool {
  readonly settings: PoolSettings;
  readonly secrets: CookieSecrets;
  readonly snapshot: PoolSnapshot;
}

interface CookieSecrets {
  /** Undefined where there are no such cookies. */
  readonly signing: string | undefined;
  readonly others: readonly string[];
}

export function buildPoolSnapshot(parts: PoolSnapshotParts, before?: BuiltPool): BuiltPool {
  const { settings } = parts;
  const secrets = asBefore(before?.secrets, {
    signing: settings.sticky?.cookie ? parts.sessionSecret : undefined,
    others: parts.otherSecrets,
  });
  const backends = backendSnapshots(parts.backends, secrets, before);
  const isAllAsBefore =
    before?.settings === settings &&
    before.secrets === secrets &&
    before.snapshot.backends === backends &&
    before.snapshot.eligibility === parts.eligibility &&
    before.snapshot.strategy === parts.strategy;
  if (isAllAsBefore) return before;
  const snapshot: PoolSnapshot = {
    id: parts.id,
    name: settings.name,
    counters: parts.counters,
    strategy: parts.strategy,
    backends,
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
  return { settings, secrets, snapshot: fieldsAsBefore(before?.snapshot, snapshot) };
}

function backendSnapshots(
  backends: readonly Backend[],
  secrets: CookieSecrets,
  before: BuiltPool | undefined,
): readonly BackendSnapshot[] {
  const areTokensAsBefore = before !== undefined && before.secrets === secrets;
  const list = areTokensAsBefore ? before.snapshot.backends : [];
  const known = new Map(list.map((backend) => [backend.id, backend]));
  const now = backends.map((backend) => {
    const one = known.get(backend.id);
    // The rest of a backend is the same as long as its id is.
    return one?.weight === backend.weight ? one : backendSnapshot(backend, secrets);
  });
  const isSameList = now.length === list.length && now.every((one, place) => one === list[place]);
  return isSameList ? list : now;
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

function backendSnapshot(backend: Backend, { signing, others }: CookieSecrets): BackendSnapshot {
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
    sessionToken: signing === undefined ? '' : sessionToken(signing, url),
    otherTokens: signing === undefined ? [] : others.map((other) => sessionToken(other, url)),
    counters: backend.counters,
  };
}
