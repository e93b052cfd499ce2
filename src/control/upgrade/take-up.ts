/** Before a new process listens: what the one before it knows of clients becomes its own, and what it has known is told. */

import type { Logs } from '../logs.ts';
import type { Registry } from '../registry.ts';
import type { DataThreads } from '../threads/data-threads.ts';
import { takeUpClients } from './known-clients.ts';
import type { Predecessor } from './predecessor.ts';

export interface Heir {
  readonly threads: DataThreads;
  readonly registry: Registry;
  readonly logs: Logs;
}

/** As late as can be: until it is asked, the process before us learns of clients. */
export async function takeUpKnown(
  predecessor: Predecessor,
  { threads, registry, logs }: Heir,
): Promise<void> {
  const told = await predecessor.clients();
  const { sessions, rates } =
    told === undefined
      ? { sessions: 0, rates: 0 }
      : takeUpClients(told, threads.clientTables, registry.pools());
  const { healthy, unhealthy, ejected, open } = predecessor.backends.counts;
  logs.log.info(
    'upgrade.taken_up',
    `known from the process before this one: ${healthy} backends up, ${unhealthy} down, ${ejected} ejected, ${open} circuit breakers open, ${sessions} sessions, ${rates} rate limits of clients`,
    { healthy, unhealthy, ejected, breakers_open: open, sessions, rate_limits: rates },
  );
}
