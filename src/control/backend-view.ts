/** Backends and status as the admin API shows them. The field names are an interface: see docs. */
import { readBackendCounters } from '../snapshot/counters.ts';
import { readPoolCounters } from '../snapshot/pool-counters.ts';
import type { ListenerSnapshot } from '../snapshot/snapshot.ts';
import { type Backend, type BreakerState, isAlive } from './backend.ts';
import { type Decision, TENTHS } from './eligibility.ts';
import { explainEligibility } from './eligibility-reasons.ts';
import type { PoolRegistry } from './pool-registry.ts';
import { wallTime } from './steady-time.ts';

export interface BackendView {
  readonly id: number;
  readonly url: string;
  readonly weight: number;
  /** Of its weight, what it counts for now; 0: no new clients. */
  readonly effective_weight: number;
  readonly backup: boolean;
  readonly alive: boolean;
  /** Whether new clients go there, and in words why, or why not. */
  readonly eligible: boolean;
  readonly why: string;
  readonly state: string;
  readonly health: string;
  readonly breaker: BreakerState;
  readonly ejected_until: string | null;
  readonly conns: number;
  readonly current_connections: number;
  readonly requests: number;
  readonly errors: number;
  readonly latency_ms: number;
  readonly last_check: string | null;
  readonly last_change: string;
  readonly reason: string | null;
  /** There only where something is known that would help. */
  readonly hint?: string;
  readonly source: string;
  /** There only where it was found: by which source. */
  readonly found_by?: string;
  /** There only where it is so: what operators made of it ends with the process. */
  readonly kept?: false;
}

export function viewBackend(
  backend: Backend,
  registry: PoolRegistry,
  threadCount: number,
): BackendView {
  return view(backend, registry.decision(), registry, threadCount);
}

/** All, in id order. */
export function viewBackends(registry: PoolRegistry, threadCount: number): BackendView[] {
  const decision = registry.decision();
  return registry.backends().map((backend) => view(backend, decision, registry, threadCount));
}

function view(
  backend: Backend,
  decision: Decision,
  registry: PoolRegistry,
  threadCount: number,
): BackendView {
  const { maxRequests, maxConnections } = registry.settings;
  const totals = readBackendCounters(backend.counters, threadCount);
  const tenths = decision.tenths.get(backend.id) ?? 0;
  return {
    id: backend.id,
    url: backend.address.url,
    weight: backend.weight,
    effective_weight: (backend.weight * tenths) / TENTHS,
    backup: backend.isBackup,
    alive: isAlive(backend),
    eligible: tenths > 0,
    why: explainEligibility(
      backend,
      decision,
      { inFlight: totals.inFlight, maxRequests, maxConnections },
      registry.now(),
    ),
    state: backend.adminState,
    health: backend.health,
    breaker: backend.breaker.state,
    ejected_until: timeOrNull(backend.ejection?.until),
    conns: totals.inFlight,
    current_connections: totals.inFlight,
    requests: totals.requests,
    errors: totals.failures,
    latency_ms: Math.round(totals.latencyMs * 100) / 100,
    last_check: timeOrNull(backend.lastCheck),
    last_change: wallTime(backend.lastChange).toISOString(),
    reason: backend.lastReason ?? null,
    ...(backend.hint !== '' && { hint: backend.hint }),
    source: backend.source,
    ...foundBy(backend, registry),
    ...(!registry.isKept(backend.address.url) && { kept: false as const }),
  };
}

function foundBy({ source }: Backend, { settings: { discovery } }: PoolRegistry): object {
  return source === 'discovery' && discovery !== null ? { found_by: discovery.source.kind } : {};
}

function timeOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : wallTime(ms).toISOString();
}

export interface StatusView {
  readonly strategy: string;
  readonly strategy_source: string;
  readonly total_backends: number;
  readonly active_backends: number;
  readonly uptime_seconds: number;
  readonly generation: number;
  /** Too few backends are eligible, so that others are used as well. */
  readonly panic: boolean;
  /** The circuit breaker of the whole pool. */
  readonly breaker: BreakerState;
  /** Requests that wait for a backend with room. */
  readonly queued: number;
  /** What clients may speak, at one listener or the other. */
  readonly client_protocols: readonly string[];
  /** What backends are spoken to in: as `protocol` in the config. */
  readonly backend_protocol: string;
  readonly backends: readonly BackendView[];
}

export function viewStatus(
  registry: PoolRegistry,
  threadCount: number,
  uptimeSeconds: number,
  generation: number,
  listeners: readonly ListenerSnapshot[],
): StatusView {
  const backends = viewBackends(registry, threadCount);
  return {
    strategy: registry.strategy,
    strategy_source: registry.strategySource,
    total_backends: backends.length,
    active_backends: backends.filter(({ alive }) => alive).length,
    uptime_seconds: Math.round(uptimeSeconds * 1000) / 1000,
    generation,
    panic: registry.eligibility().isPanic,
    breaker: registry.live.poolBreaker.state,
    queued: readPoolCounters(registry.counters, threadCount).queued,
    client_protocols: listeners.some(speaksHttp2) ? ['HTTP/1.1', 'HTTP/2.0'] : ['HTTP/1.1'],
    backend_protocol: registry.settings.protocol,
    backends,
  };
}

/** Over TLS by choosing it, in the clear by beginning with it. */
export function speaksHttp2({ tls, h2c }: ListenerSnapshot): boolean {
  return tls === undefined ? h2c : tls.http2;
}
