/** Whether a process that ends has to go on checking its backends. */
import { readBackendCounters } from '../snapshot/counters.ts';
import { readPoolCounters } from '../snapshot/pool-counters.ts';
import type { DataThreads } from './data-threads.ts';
import type { Registry } from './registry.ts';

/** Requests are under way that may go to another backend yet: not those that have become tunnels. */
export function mayRetry(registry: Registry, { threadCount }: DataThreads): boolean {
  const { retries } = registry.settings;
  if (readPoolCounters(registry.poolCounters, threadCount).queued > 0) return true;
  if (retries.attempts <= 1) return false;
  return registry.backends().some((backend) => {
    const { inFlight, tunnels } = readBackendCounters(backend.counters, threadCount);
    return inFlight > tunnels;
  });
}
