/** How many pools and backends have series on the metrics page. */
import type { LeftOut } from '../observe/prometheus.ts';
import type { Backend } from './backend.ts';

/** Those that came first: who has series keeps them as long as it is there. */
const MOST_POOLS = 1_000;
/** Of all pools together. */
const MOST_BACKENDS = 1_000;

interface Numbered {
  /** Ids are given in the order in which they come. */
  readonly id: number;
}

interface PoolOfBackends extends Numbered {
  backends(): readonly Backend[];
}

export interface ShownPool<Pool> {
  readonly running: Pool;
  readonly backends: readonly Backend[];
}

export function withinBounds<Pool>(
  pools: readonly Pool[],
  registryOf: (pool: Pool) => PoolOfBackends,
): { readonly shown: readonly ShownPool<Pool>[]; readonly leftOut: LeftOut } {
  const lastPool = lastOf(pools.map(registryOf), MOST_POOLS);
  const all = pools.flatMap((pool) => registryOf(pool).backends());
  const lastBackend = lastOf(all, MOST_BACKENDS);
  const shown = pools
    .filter((pool) => registryOf(pool).id <= lastPool)
    .map((running) => ({
      running,
      backends: registryOf(running)
        .backends()
        .filter(({ id }) => id <= lastBackend),
    }));
  const backends = shown.reduce((sum, pool) => sum + pool.backends.length, 0);
  return {
    shown,
    leftOut: { pools: pools.length - shown.length, backends: all.length - backends },
  };
}

/** The highest id of the first `most`. */
function lastOf(all: readonly Numbered[], most: number): number {
  if (all.length <= most) return Number.POSITIVE_INFINITY;
  const ids = all.map(({ id }) => id).toSorted((one, other) => one - other);
  return ids[most - 1] as number;
}
