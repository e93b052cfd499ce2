/**
 * A store of a cluster that is begun anew may give the id of one backend to another. Whoever knows a backend knows it by its id: so that
 * one leaves everywhere before the other comes (`Registry.admitOthers`), right after it, with the health that its URL was known to have.
 */
import { ClientTable } from '../snapshot/client-table.ts';
import { IN_DOUBT } from '../snapshot/shared-sessions.ts';
import type { Backend } from './backend.ts';
import { HealthHandover } from './health/health-handover.ts';
import type { PoolRegistry } from './pool-registry.ts';

/** Pools as they were before a change. */
export class PoolsBefore {
  readonly #pools: readonly Pick<PoolRegistry, 'name' | 'settings' | 'backends' | 'version'>[];
  #taken: ReadonlySet<number> | undefined;

  constructor(pools: readonly PoolRegistry[]) {
    this.#pools = pools.map((pool) => {
      const backends = pool.backends();
      const { name, settings, version } = pool;
      return { name, settings, version, backends: () => backends };
    });
  }

  /** Whether nobody had this id. */
  readonly isFree = (id: number): boolean => {
    this.#taken ??= new Set(
      this.#pools.flatMap((pool) => pool.backends().map((backend) => backend.id)),
    );
    return !this.#taken.has(id);
  };

  /** Whether there is any now that was not: one that is known by another id from now on, among others. */
  isAnyNew(pools: readonly PoolRegistry[]): boolean {
    const known = new Map(this.#pools.map((pool) => [pool.name, pool]));
    return pools.some((pool) => {
      const was = known.get(pool.name);
      if (was?.version === pool.version) return false;
      const backends = new Set(was?.backends());
      return pool.backends().some((backend) => !backends.has(backend));
    });
  }

  handover(): HealthHandover {
    return new HealthHandover(this.#pools);
  }
}

/** By the id of before, the id that the same URL in the same pool has now; undefined: it is not there. Of those whose id is another. */
export function otherIds(
  before: Iterable<
    readonly [PoolRegistry, { readonly backends: readonly { readonly backend: Backend }[] }]
  >,
  pools: readonly PoolRegistry[],
): Map<number, number | undefined> {
  const idOf = new Map(
    pools.flatMap((pool) =>
      pool.backends().map(({ id, address }) => [`${pool.name} ${address.url}`, id] as const),
    ),
  );
  const ids = new Map<number, number | undefined>();
  for (const [{ name }, { backends }] of before) {
    for (const { backend } of backends) {
      const { id, address } = backend;
      const now = idOf.get(`${name} ${address.url}`);
      if (now !== id) ids.set(id, now);
    }
  }
  return ids;
}

/** Sessions stay with their backends. */
export function renumberSessions(
  memory: SharedArrayBuffer,
  ids: ReadonlyMap<number, number | undefined>,
): void {
  const table = new ClientTable(memory);
  table.forEach((entry) => {
    const value = table.get(entry, 0);
    const doubt = value < 0 ? 0 : value & IN_DOUBT;
    if (!ids.has(value & ~doubt)) return;
    const now = ids.get(value & ~doubt);
    if (now === undefined) table.free(entry);
    else table.set(entry, 0, now | doubt);
  });
}
