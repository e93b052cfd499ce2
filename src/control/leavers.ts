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

interface Seen {
  readonly version: number;
  readonly ids: ReadonlySet<number>;
}

export class Leavers {
  readonly #threadCount: number;
  readonly #now: () => number;
  readonly #known = new Map<number, Member>();
  /** Of each pool, as it was looked at last. */
  #seen: ReadonlyMap<PoolRegistry, Seen> = new Map();
  readonly #gone = new Map<number, Member & { readonly since: number }>();

  constructor(threadCount: number, now: () => number = Date.now) {
    this.#threadCount = threadCount;
    this.#now = now;
  }

  /** @param pools those of the registry, whenever they or their backends may have changed. */
  sync(pools: readonly PoolRegistry[]): void {
    const since = this.#now();
    const before = this.#seen;
    this.#seen = new Map(pools.map((pool) => [pool, seenOf(pool, before.get(pool))]));
    for (const [pool, { ids }] of before) {
      const now = this.#seen.get(pool)?.ids;
      if (ids === now) continue;
      for (const id of ids) if (now?.has(id) !== true) this.#leave(id, since);
    }
    for (const [pool, { ids }] of this.#seen) {
      if (ids === before.get(pool)?.ids) continue;
      for (const id of ids) {
        const backend = pool.backend(id);
        if (backend === undefined) continue;
        this.#known.set(id, { pool: pool.name, backend });
        // One that an operator wants back is the same again.
        this.#gone.delete(id);
      }
    }
    this.view();
  }

  #leave(id: number, since: number): void {
    const member = this.#known.get(id);
    this.#known.delete(id);
    if (member !== undefined) this.#gone.set(id, { ...member, since });
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

/** As before, where it has not changed. */
function seenOf(pool: PoolRegistry, before: Seen | undefined): Seen {
  const { version } = pool;
  if (before?.version === version) return before;
  return { version, ids: new Set(pool.backends().map(({ id }) => id)) };
}
