/** Whether a process that ends has to go on checking the backends of a pool. */
import { readBackendCounters } from '../snapshot/counters.ts';
import { readPoolCounters } from '../snapshot/pool-counters.ts';
import type { PoolRegistry } from './pool-registry.ts';

/** Requests are under way that may go to another backend yet: not those that have become tunnels. */
export function mayRetry(pool: PoolRegistry, threadCount: number): boolean {
  const { retries } = pool.settings;
  if (readPoolCounters(pool.counters, threadCount).queued > 0) return true;
  if (retries.attempts <= 1) return false;
  return pool.backends().some((backend) => {
    const { inFlight, tunnels } = readBackendCounters(backend.counters, threadCount);
    return inFlight > tunnels;
  });
}
