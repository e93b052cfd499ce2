/** Counters of all that a data thread may still hold: of what is in force, and of what has left as long as something is under way there. */
import { giveBackBackendShare, readBackendCounters } from '../../snapshot/counters.ts';
import { giveBackPoolShare, readPoolCounters } from '../../snapshot/pool-counters.ts';
import type { Snapshot } from '../../snapshot/snapshot.ts';

interface Counted {
  readonly id: number;
  readonly counters: SharedArrayBuffer;
}

export class HeldCounters {
  readonly #threadCount: number;
  readonly #backends = new Map<number, SharedArrayBuffer>();
  readonly #pools = new Map<number, SharedArrayBuffer>();

  constructor(threadCount: number) {
    this.#threadCount = threadCount;
  }

  /** @param snapshot what is in force from now on. */
  hold({ pools }: Snapshot): void {
    const threadCount = this.#threadCount;
    const backends = pools.flatMap((pool) => pool.backends);
    holdCounters(this.#backends, backends, (buffer) => {
      const { inFlight, openConnections } = readBackendCounters(buffer, threadCount);
      return inFlight > 0 || openConnections > 0;
    });
    holdCounters(this.#pools, pools, (buffer) => readPoolCounters(buffer, threadCount).queued > 0);
  }

  /** What a thread that is gone had taken is free again. */
  giveBackShareOf(thread: number): void {
    for (const buffer of this.#backends.values()) giveBackBackendShare(buffer, thread);
    for (const buffer of this.#pools.values()) giveBackPoolShare(buffer, thread);
  }
}

/** Those of `current`, and of what has left and is in use. */
function holdCounters(
  held: Map<number, SharedArrayBuffer>,
  current: readonly Counted[],
  isInUse: (buffer: SharedArrayBuffer) => boolean,
): void {
  const isAsBefore = ({ id, counters }: Counted) => held.get(id) === counters;
  if (held.size === current.length && current.every(isAsBefore)) return;
  const ids = new Set(current.map(({ id }) => id));
  for (const [id, buffer] of held) if (!ids.has(id) && !isInUse(buffer)) held.delete(id);
  for (const { id, counters } of current) held.set(id, counters);
}
