/** Backends and status as the admin API shows them. The field names are an interface: see docs. */
import { readBackendCounters } from '../snapshot/counters.ts';
import { type Backend, isAlive } from './backend.ts';
import type { Registry } from './registry.ts';

export interface BackendView {
  readonly id: number;
  readonly url: string;
  readonly weight: number;
  readonly alive: boolean;
  readonly state: string;
  readonly health: string;
  readonly conns: number;
  readonly current_connections: number;
  readonly requests: number;
  readonly errors: number;
  readonly latency_ms: number;
  readonly last_check: string | null;
  readonly last_change: string;
  readonly reason: string | null;
  readonly source: string;
}

export function viewBackend(backend: Backend, threadCount: number): BackendView {
  const totals = readBackendCounters(backend.counters, threadCount);
  return {
    id: backend.id,
    url: backend.address.url,
    weight: backend.weight,
    alive: isAlive(backend),
    state: backend.adminState,
    health: backend.health,
    conns: totals.inFlight,
    current_connections: totals.inFlight,
    requests: totals.requests,
    errors: totals.failures,
    latency_ms: Math.round(totals.latencyMs * 100) / 100,
    last_check: backend.lastCheck === undefined ? null : new Date(backend.lastCheck).toISOString(),
    last_change: new Date(backend.lastChange).toISOString(),
    reason: backend.lastReason ?? null,
    source: backend.source,
  };
}

export interface StatusView {
  readonly strategy: string;
  readonly strategy_source: string;
  readonly total_backends: number;
  readonly active_backends: number;
  readonly uptime_seconds: number;
  readonly generation: number;
  readonly backends: readonly BackendView[];
}

export function viewStatus(
  registry: Registry,
  threadCount: number,
  uptimeSeconds: number,
): StatusView {
  const backends = registry.backends().map((backend) => viewBackend(backend, threadCount));
  return {
    strategy: registry.strategy,
    strategy_source: registry.strategySource,
    total_backends: backends.length,
    active_backends: backends.filter(({ alive }) => alive).length,
    uptime_seconds: Math.round(uptimeSeconds * 1000) / 1000,
    generation: registry.generation,
    backends,
  };
}
