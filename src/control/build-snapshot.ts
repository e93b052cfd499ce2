/** Puts together what the data plane runs on. Pure: the same input gives an equal snapshot. */
import type { Settings } from '../config/settings.ts';
import type {
  BackendSnapshot,
  Eligibility,
  Snapshot,
  Sticky,
  StrategyName,
} from '../snapshot/snapshot.ts';
import type { Backend } from './backend.ts';
import { sessionToken } from './session-token.ts';

/** The pool that the short form of the config means. */
export const DEFAULT_POOL = 'default';

export interface SnapshotParts {
  readonly instanceName: string;
  readonly generation: number;
  readonly settings: Settings;
  readonly strategy: StrategyName;
  readonly poolCounters: SharedArrayBuffer;
  readonly backends: readonly Backend[];
  readonly eligibility: Eligibility;
  /** Signs session cookies; undefined where there are none. */
  readonly sessionSecret: string | undefined;
}

export function buildSnapshot(parts: SnapshotParts): Snapshot {
  const { settings } = parts;
  const secret = settings.sticky?.cookie ? parts.sessionSecret : undefined;
  return {
    instanceName: parts.instanceName,
    generation: parts.generation,
    listener: {
      host: settings.host,
      port: settings.port,
      tls: settings.tls && { cert: settings.tls.cert, key: settings.tls.key },
    },
    pools: [
      {
        id: 0,
        name: DEFAULT_POOL,
        counters: parts.poolCounters,
        strategy: parts.strategy,
        backends: parts.backends.map((backend) => backendSnapshot(backend, secret)),
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
        hostHeader: settings.hostHeader,
        hasLenientResponses: settings.hasLenientResponses,
      },
    ],
    timeouts: settings.timeouts,
    limits: settings.limits,
    forwarding: settings.forwarding,
    accessLog: {
      isEnabled: settings.accessLog !== false,
      format: settings.accessLog === false ? 'json' : settings.accessLog.format,
    },
  };
}

function withoutSecret({ key, ttlMs, cookie, learns }: Sticky): Sticky {
  return { key, ttlMs, cookie, learns };
}

function backendSnapshot(backend: Backend, secret: string | undefined): BackendSnapshot {
  const { url, tls, host, port, authority } = backend.address;
  return {
    id: backend.id,
    url,
    tls,
    host,
    port,
    authority,
    weight: backend.weight,
    sessionToken: secret === undefined ? '' : sessionToken(secret, url),
    counters: backend.counters,
  };
}
