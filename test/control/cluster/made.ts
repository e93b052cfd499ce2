/** A cluster in memory: what a file says, in a store, as an instance understands it. */

import { type LoadResult, loadSettings } from '../../../src/config/load.ts';
import type { RawConfig } from '../../../src/config/read/layer.ts';
import { NOTHING_SHARED, type SharedConfig, sharedIn } from '../../../src/config/shared-config.ts';
import type {
  RegistryStore,
  StoredObject,
  Transaction,
} from '../../../src/control/cluster/registry-store.ts';
import { beginStore, type FileContent } from '../../../src/control/cluster/store-content.ts';
import { StoreKeys } from '../../../src/control/cluster/store-keys.ts';
import { StoreTable } from '../../../src/control/cluster/store-table.ts';
import { TableStore } from '../../../src/control/cluster/table-store.ts';

type Loaded = Extract<LoadResult, { ok: true }>;

export const KEYS = new StoreKeys('/f/', 'shop');

const CLUSTER = { instance: 'a', etcd: { endpoints: ['http://127.0.0.1:1'] } };

/** As `fairlead` would read it. @param shared undefined: as it stands. */
export function loadFile(config: RawConfig, shared?: SharedConfig): Loaded {
  const result = loadSettings({
    flags: { values: [] },
    env: {},
    cwd: '/',
    given: { data: { cluster: CLUSTER, ...config } },
    ...(shared && { shared }),
  });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result;
}

/** What an instance with nothing but `cluster` in its file says of these pools and routes. */
export function instanceLoad(shared: SharedConfig): LoadResult {
  const loaded = loadFile({}, NOTHING_SHARED);
  return loaded.withShared?.(shared, []) ?? loaded;
}

export function contentOf(config: RawConfig): FileContent {
  return { shared: sharedIn(config), settings: loadFile(config).settings };
}

/** A store that holds it, begun. */
export async function storeWith(config: RawConfig): Promise<RegistryStore> {
  const store = new TableStore(new StoreTable());
  await beginStore(store, KEYS, contentOf(config));
  return store;
}

export async function objectsIn(store: RegistryStore): Promise<Map<string, StoredObject>> {
  const { objects } = await store.list(KEYS.cfg);
  return new Map(objects.map((object) => [object.key, object]));
}

/** The same store, where something happens before each commit; the first is 1. */
export function disturbed(
  store: RegistryStore,
  before: (count: number, transaction: Transaction) => Promise<unknown> | undefined,
): RegistryStore {
  let commits = 0;
  return {
    list: (prefix) => store.list(prefix),
    read: (key) => store.read(key),
    watch: (prefix, after, watcher) => store.watch(prefix, after, watcher),
    lease: (options) => store.lease(options),
    close: () => store.close(),
    async commit(transaction) {
      await before(++commits, transaction);
      return store.commit(transaction);
    },
  };
}
