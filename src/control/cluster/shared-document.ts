/** From objects of the store to what a config file would say of pools and routes, and back from a place in that to the object. */
import type { SharedConfig } from '../../config/shared-config.ts';
import type { Understood } from './shared-objects.ts';

type PoolUnderstood = Extract<Understood, { kind: 'pool' }>;
type BackendUnderstood = Extract<Understood, { kind: 'backend' }>;
type RouteUnderstood = Extract<Understood, { kind: 'route' }>;

export interface SharedDocument {
  readonly config: SharedConfig;
  /** Those of the file that the pools came from, by pool, in the order of their lists. */
  readonly listed: ReadonlyMap<string, readonly BackendUnderstood[]>;
  /** The key of the object that says what stands at this path: `pools.web.backends.1.url`. */
  keyAt(path: string): string | undefined;
}

/** The same objects make the same document. */
export function documentOf(objects: Iterable<Understood>): SharedDocument {
  const pools = new Map<string, PoolUnderstood>();
  const listed = new Map<string, BackendUnderstood[]>();
  const routes: RouteUnderstood[] = [];
  for (const object of objects) {
    if (object.kind === 'pool') pools.set(object.pool, object);
    else if (object.kind === 'route') routes.push(object);
    else if (object.kind === 'backend' && object.object.source === 'config') {
      const list = listed.get(object.pool) ?? [];
      list.push(object);
      listed.set(object.pool, list);
    }
  }
  for (const list of listed.values()) list.sort((a, b) => a.id - b.id);
  routes.sort((a, b) => a.object.order - b.object.order || (a.id < b.id ? -1 : 1));
  const named = [...pools].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const keyAt = (path: string): string | undefined => {
    const [kind, name = '', key, index] = path.split('.');
    if (kind === 'routes') return routes[Number(name)]?.key;
    if (kind !== 'pools') return undefined;
    const backend = key === 'backends' ? listed.get(name)?.[Number(index)] : undefined;
    return backend?.key ?? pools.get(name)?.key;
  };
  return {
    config: {
      value: {
        pools: Object.fromEntries(
          named.map(([name, { object }]) => [
            name,
            { ...object.pool, backends: (listed.get(name) ?? []).map(writtenBackend) },
          ]),
        ),
        routes: routes.map(({ object }) => object.route),
      },
      place: (path) => {
        const name = keyAt(path.map(String).join('.'));
        return { origin: 'store', ...(name !== undefined && { name }) };
      },
    },
    listed,
    keyAt,
  };
}

function writtenBackend({ object: { url, weight, backup } }: BackendUnderstood): unknown {
  return weight === 1 && !backup ? url : { url, weight, ...(backup && { backup }) };
}
