/** How the pools of the running instance are: what `status` and `top` show. */
import { DEFAULT_POOL } from '../../config/settings.ts';
import type { AdminClient } from './admin-client.ts';
import { folderOf, listPools, type ShownBackend, type ShownPool } from './admin-pools.ts';

export interface BackendStatus extends ShownBackend {
  readonly conns: number;
  readonly requests: number;
  readonly errors: number;
  /** 0: no answer was ever measured. */
  readonly latency_ms: number;
  readonly reason: string | null;
  /** Why it gets requests or not, in words. */
  readonly why?: string;
  /** There only while it drains. */
  readonly drained?: boolean;
  readonly breaker?: string;
  readonly ejected_until?: string | null;
}

export interface PoolStatus {
  readonly strategy: string;
  readonly total_backends: number;
  readonly active_backends: number;
  readonly panic: boolean;
  readonly breaker?: string;
  readonly queued?: number;
  readonly uptime_seconds: number;
  readonly backends: readonly BackendStatus[];
  /** What counts for all instances, where there is such a thing: the same in all pools. */
  readonly rate_limit_engine?: {
    readonly url: string;
    readonly state: string;
    readonly last_error: string | null;
    readonly on_engine_down?: readonly string[];
  };
  /** There only while the last reload was one that was refused. */
  readonly refused_reload?: { readonly at: string; readonly reason: string };
  /** Removed, with requests in flight. */
  readonly leaving?: readonly {
    readonly id: number;
    readonly pool?: string;
    readonly url: string;
    readonly in_flight: number;
  }[];
  /** There only where there are some. */
  readonly not_kept?: readonly {
    readonly value: string;
    readonly backend: string | null;
    readonly now: string;
    readonly after_restart: string;
  }[];
}

export function latencyOf({ latency_ms: ms }: Pick<BackendStatus, 'latency_ms'>): string {
  return ms === 0 ? '-' : `${ms.toFixed(1)} ms`;
}

/** A line for each change that ends with the process. */
export function unkeptLines({ not_kept: all = [] }: Pick<PoolStatus, 'not_kept'>): string[] {
  return all.map(
    ({ value, backend, now, after_restart: then }) =>
      `not kept: ${backend ?? value}: ${now} (after a restart: ${then})`,
  );
}

export interface SeenPool {
  /** Undefined: there is only one, of which nobody has to speak. */
  readonly pool: ShownPool | undefined;
  readonly status: PoolStatus;
}

/** All pools, or the one that is named. @throws AdminError */
export async function lookAtPools(
  client: AdminClient,
  name: string | undefined,
): Promise<readonly SeenPool[]> {
  if (name !== undefined) {
    const pool = (await client.callForObject(
      'GET',
      `/pools/${encodeURIComponent(name)}`,
    )) as ShownPool;
    return [{ pool, status: await statusOf(client, name) }];
  }
  const pools = (await listPools(client)).filter(isWorthShowing);
  const [only, ...others] = pools;
  if (only === undefined || (only.name === DEFAULT_POOL && others.length === 0)) {
    return [{ pool: undefined, status: await statusOf(client, DEFAULT_POOL) }];
  }
  const seen: SeenPool[] = [];
  for (const pool of pools) seen.push({ pool, status: await statusOf(client, pool.name) });
  return seen;
}

/** There is a pool default even where the config has others only. */
function isWorthShowing({ name, routed, total_backends: total }: ShownPool): boolean {
  return name !== DEFAULT_POOL || routed || total > 0;
}

async function statusOf(client: AdminClient, pool: string): Promise<PoolStatus> {
  return (await client.callForObject('GET', `${folderOf(pool)}/status`)) as unknown as PoolStatus;
}
