import type { PoolRegistry } from './pool-registry.ts';

/**
 * Whether nobody has this id now. A store of a cluster that is begun anew may give it to another backend: that one comes once the first has
 * left everywhere, for whoever knows a backend knows it by its id.
 */
export function freeIds(pools: readonly PoolRegistry[]): (id: number) => boolean {
  let taken: ReadonlySet<number> | undefined;
  return (id) => {
    taken ??= new Set(pools.flatMap(({ live }) => live.all().map((backend) => backend.id)));
    return !taken.has(id);
  };
}
