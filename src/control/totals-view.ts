/** Everything that changes by itself, in one answer: what the dashboard asks for each second. Counters only grow, while one process lives. */
import { ERROR_CODES } from '../errors.ts';
import { readBackendCounters } from '../snapshot/counters.ts';
import { DURATION_BUCKETS_SECONDS } from '../snapshot/durations.ts';
import { readPoolCounters } from '../snapshot/pool-counters.ts';
import { readProcessCounters } from '../snapshot/process-totals.ts';
import { viewBackend } from './backend-view.ts';
import type { Drains } from './drains.ts';
import type { LeaverView } from './leavers.ts';
import { type ShownPool, withinBounds } from './metrics-bounds.ts';
import type { PoolRegistry } from './pool-registry.ts';
import type { Registry } from './registry.ts';
import type { DataThreads } from './threads/data-threads.ts';

export interface TotalsSources {
  readonly registry: Registry;
  readonly threads: DataThreads;
  readonly drains: Drains;
  readonly leaving: () => readonly LeaverView[];
  readonly uptimeSeconds: () => number;
  readonly version: string;
}

/** The field names are an interface: see docs. */
export function viewTotals(sources: TotalsSources): object {
  const { registry, threads, leaving, uptimeSeconds, version } = sources;
  const counted = readProcessCounters(threads.counters, threads.threadCount);
  const { shown, leftOut } = withinBounds(registry.pools(), (pool) => pool);
  return {
    version,
    pid: process.pid,
    uptime_seconds: Math.round(uptimeSeconds() * 1000) / 1000,
    generation: registry.generation,
    client_connections: counted.clientConnections,
    duration_bounds_seconds: DURATION_BUCKETS_SECONDS,
    statuses: Object.fromEntries(counted.statuses),
    errors: Object.fromEntries(
      ERROR_CODES.map((code, index) => [code, counted.errors[index] ?? 0] as const).filter(
        ([, count]) => count > 0,
      ),
    ),
    pools: shown.map((pool) => viewPool(pool, sources)),
    left_out: leftOut,
    leaving: leaving(),
  };
}

function viewPool(
  { running: pool, backends }: ShownPool<PoolRegistry>,
  { registry, threads, drains }: TotalsSources,
): object {
  const { threadCount } = threads;
  const own = readPoolCounters(pool.counters, threadCount);
  const statuses = new Map(own.statuses);
  const durations = Array.from({ length: DURATION_BUCKETS_SECONDS.length + 1 }, () => 0);
  const views = backends.map((backend) => {
    const totals = readBackendCounters(backend.counters, threadCount);
    let serverErrors = 0;
    for (const [status, count] of totals.statuses) {
      statuses.set(status, (statuses.get(status) ?? 0) + count);
      if (status >= 500) serverErrors += count;
    }
    for (const [bucket, count] of totals.durations.buckets.entries()) {
      durations[bucket] = (durations[bucket] ?? 0) + count;
    }
    return {
      ...drains.shown(viewBackend(backend, pool, threadCount), backend),
      server_errors: serverErrors,
      open_connections: totals.openConnections,
    };
  });
  return {
    name: pool.name,
    routed: registry.settings.routedPools.includes(pool.name),
    strategy: pool.strategy,
    strategy_source: pool.strategySource,
    panic: pool.eligibility().isPanic,
    breaker: pool.live.poolBreaker.state,
    queued: own.queued,
    statuses: Object.fromEntries(statuses),
    durations,
    backends: views,
  };
}
