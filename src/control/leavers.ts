/**
 * Backends that are gone from the registry while requests are in flight there: removed by an operator, or by a reload. They
 * are shown until the last of those is over. Their counters go on: the data threads hold them as well.
 */
import { readBackendCounters } from '../snapshot/counters.ts';
import type { Backend } from './backend.ts';
import type { PoolRegistry } from './pool-registry.ts';

/** A thread that has not heard of the removal yet may still begin a request. */
const SETTLE_MS = 2000;

/** The field names are an interface: see docs. */
export interface LeaverView {
  readonly id: number;
  readonly pool: string;
  readonly url: string;
  /** When it was removed. */
  readonly since: string;
  /** Tunnels among them. */
  readonly in_flight: number;
  readonly tunnels: number;
}

interface Member {
  readonly pool: string;
  readonly backend: Backend;
}

export class Leavers {
  readonly #threadCount: number;
  readonly #now: () => number;
  #known: ReadonlyMap<number, Member> = new Map();
  readonly #gone = new Map<number, Member & { readonly since: number }>();

  constructor(threadCount: number, now: () => number = Date.now) {
    this.#threadCount = threadCount;
    this.#now = now;
  }

  /** @param pools those of the registry, whenever they or their backends may have changed. */
  sync(pools: readonly PoolRegistry[]): void {
    const since = this.#now();
    const known = new Map<number, Member>();
    for (const pool of pools) {
      for (const backend of pool.backends()) known.set(backend.id, { pool: pool.name, backend });
    }
    for (const [id, member] of this.#known) {
      if (!known.has(id)) this.#gone.set(id, { ...member, since });
    }
    // One that an operator wants back is the same again.
    for (const id of this.#gone.keys()) {
      if (known.has(id)) this.#gone.delete(id);
    }
    this.#known = known;
    this.view();
  }

  /** The pool of a backend, also of one that is gone, while something may be in flight there. */
  poolOf(id: number): string | undefined {
    return (this.#known.get(id) ?? this.#gone.get(id))?.pool;
  }

  /** In the order in which they were removed. */
  view(): LeaverView[] {
    const views: LeaverView[] = [];
    for (const [id, { pool, backend, since }] of this.#gone) {
      const { inFlight, tunnels } = readBackendCounters(backend.counters, this.#threadCount);
      const isOver = inFlight === 0;
      if (isOver && this.#now() - since >= SETTLE_MS) this.#gone.delete(id);
      if (isOver) continue;
      const { url } = backend.address;
      const gone = new Date(since).toISOString();
      views.push({ id, pool, url, since: gone, in_flight: inFlight, tunnels });
    }
    return views;
  }
}
