import type { PoolRegistry } from './pool-registry.ts';

/** Whether an id may be that of this backend of this pool. */
export type IsFree = (pool: string, id: number, url: string) => boolean;

/** Ids that nobody has now, and those of whoever has them. */
export function freeIds(pools: readonly PoolRegistry[]): IsFree {
  const holders = new Map(
    pools.flatMap(({ name, live }) =>
      live.all().map(({ id, address }) => [id, { pool: name, url: address.url }] as const),
    ),
  );
  return (pool, id, url) => {
    const holder = holders.get(id);
    return holder === undefined || (holder.pool === pool && holder.url === url);
  };
}
