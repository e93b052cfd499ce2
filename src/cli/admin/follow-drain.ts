/** Watches a backend drain until that has ended one way or another, and shows on a terminal how far it is. */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatDuration } from '../../config/values/duration.ts';
import { Progress } from '../terminal/progress.ts';
import { type AdminClient, AdminError } from './admin-client.ts';
import type { ShownBackend } from './admin-pools.ts';

const POLL_MS = 200;
/** What the deadline cuts takes a moment to be gone, and the last requests of its sessions want an answer. */
const GRACE_MS = 10_000;

export interface DrainingBackend extends ShownBackend {
  readonly drained?: boolean;
  readonly draining?: {
    readonly since: string;
    readonly deadline: string;
    readonly in_flight: number;
    readonly tunnels: number;
    readonly cut: number;
    readonly cut_requests?: number;
  };
}

export interface DrainEnd {
  /** `overdue`: the deadline has passed, and requests are still in flight. */
  readonly how: 'drained' | 'removed' | 'called-off' | 'overdue';
  /** As it was seen last. */
  readonly backend: DrainingBackend;
}

/**
 * @param path of the calls about it.
 * @param begun what the API answered to the drain.
 * @throws AdminError when the instance does not answer any more.
 */
export async function followDrain(
  client: AdminClient,
  path: string,
  begun: DrainingBackend,
): Promise<DrainEnd> {
  const { since = '', deadline = '' } = begun.draining ?? {};
  // By the clock of this machine: the instance may run on another one.
  const endMs = performance.now() + Date.parse(deadline) - Date.parse(since);
  const progress = new Progress();
  try {
    let backend = begun;
    for (;;) {
      progress.show(howFar(backend, endMs - performance.now()));
      await sleep(POLL_MS);
      const seen = await look(client, path);
      if (seen === undefined) return { how: 'removed', backend };
      backend = seen;
      if (backend.draining === undefined) return { how: 'called-off', backend };
      if (backend.drained === true) return { how: 'drained', backend };
      if (performance.now() > endMs + GRACE_MS) return { how: 'overdue', backend };
    }
  } finally {
    progress.end();
  }
}

/** Undefined once it is removed. */
async function look(client: AdminClient, path: string): Promise<DrainingBackend | undefined> {
  try {
    return (await client.callForObject('GET', path)) as DrainingBackend;
  } catch (error) {
    if (error instanceof AdminError && error.status === 404) return undefined;
    throw error;
  }
}

function howFar({ draining }: DrainingBackend, leftMs: number): string {
  const { in_flight: inFlight = 0, tunnels = 0 } = draining ?? {};
  const left = formatDuration(Math.max(0, Math.ceil(leftMs / 1000)) * 1000);
  return `${inFlight} in flight, ${tunnels} of them WebSockets; ${left} left`;
}
