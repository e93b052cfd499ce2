/** Answers of `GET /totals`, as far as a test cares. */
import type { BackendTotals, PoolTotals, Totals } from '../../src/dashboard/data/shapes.ts';
import { DURATION_BUCKETS_SECONDS } from '../../src/snapshot/durations.ts';

export const noTotals: Totals = {
  version: '0.0.0',
  pid: 1,
  uptime_seconds: 0,
  generation: 1,
  client_connections: 0,
  duration_bounds_seconds: [...DURATION_BUCKETS_SECONDS],
  statuses: {},
  errors: {},
  pools: [],
  left_out: { pools: 0, backends: 0 },
  leaving: [],
};

export function pool(name: string, more: Partial<PoolTotals> = {}): PoolTotals {
  return {
    name,
    routed: true,
    strategy: 'round-robin',
    strategy_source: 'config',
    panic: false,
    breaker: 'closed',
    queued: 0,
    statuses: {},
    durations: [...DURATION_BUCKETS_SECONDS, 0].map(() => 0),
    backends: [],
    ...more,
  };
}

export function backend(id: number, more: Partial<BackendTotals> = {}): BackendTotals {
  return {
    id,
    url: `http://127.0.0.1:${3000 + id}`,
    weight: 1,
    effective_weight: 1,
    backup: false,
    alive: true,
    eligible: true,
    why: 'healthy, last check 3 s ago',
    state: 'enabled',
    health: 'healthy',
    breaker: 'closed',
    ejected_until: null,
    conns: 0,
    current_connections: 0,
    open_connections: 0,
    requests: 0,
    errors: 0,
    server_errors: 0,
    latency_ms: 0,
    last_check: '2026-01-01T00:00:00.000Z',
    last_change: '2026-01-01T00:00:00.000Z',
    reason: null,
    source: 'config',
    ...more,
  };
}
