/** A store as a whole: begun with what a file says, brought to what another one says, written out as a file, and accepted anew. */
import { randomUUID } from 'node:crypto';
import { isMapping, type RawConfig } from '../../config/read/layer.ts';
import type { Settings } from '../../config/settings.ts';
import type { Condition, Listing, RegistryStore, Write } from './registry-store.ts';
import { documentOf } from './shared-document.ts';
import { type BackendObject, type Understood, understand, valueOf } from './shared-objects.ts';
import { commitStaged, MOST_WRITES, StageLost } from './staged-commit.ts';
import type { StoreKeys } from './store-keys.ts';

const DO_AGAIN = 'look at it, and do it again';
/** So that there is room between two routes. */
const ORDER_STEP = 10;

/** It can't be done as it stands; a sentence for people. */
export class ContentRefused extends Error {
  override readonly name = 'ContentRefused';
}

/** What a file says of pools and routes, and what that was compiled to. */
export interface FileContent {
  /** As `sharedIn` gives it. */
  readonly shared: RawConfig;
  readonly settings: Settings;
}

export interface ContentCounts {
  readonly pools: number;
  readonly backends: number;
  readonly routes: number;
}

/** Into a store that is empty. Nobody runs on it before all of it is there. @throws ContentRefused, StoreError */
export async function beginStore(
  store: RegistryStore,
  keys: StoreKeys,
  content: FileContent,
): Promise<ContentCounts & { readonly epoch: string }> {
  const { objects } = await store.list(keys.cfg);
  if (objects.some(({ key }) => key === keys.epoch)) {
    throw new ContentRefused(`there is a cluster at ${keys.root} already: import changes it`);
  }
  const wanted = wantedObjects(content, keys, new Map(), 0);
  const leftovers = objects.filter(({ key }) => !wanted.objects.has(key));
  const writes: Write[] = [
    ...leftovers.map(({ key }) => ({ remove: key })),
    ...Array.from(wanted.objects, ([key, value]) => ({ put: key, value })),
  ];
  const notBegun: Condition = { key: keys.epoch, isAbsent: true };
  for (const some of batches(writes)) await commitAll(store, [notBegun], some);
  const epoch = randomUUID();
  await commitAll(
    store,
    [notBegun],
    [
      { put: keys.ids, value: valueOf({ next: wanted.nextId }) },
      headOf(keys),
      { put: keys.epoch, value: epoch },
    ],
  );
  return { ...wanted.counts, epoch };
}

export interface Imported extends ContentCounts {
  readonly written: number;
  readonly removed: number;
}

/**
 * Pools and routes become those of the file. Backends that stay keep their ids and what operators made of them; those that operators
 * have added stay where their pool does.
 * @throws ContentRefused where somebody else writes meanwhile, StoreError
 */
export async function importInto(
  store: RegistryStore,
  keys: StoreKeys,
  content: FileContent,
): Promise<Imported> {
  const listing = await store.list(keys.cfg);
  const { epoch, head, nextId, understood } = readStore(listing, keys);
  const ids = new Map<string, number>();
  const added: Extract<Understood, { kind: 'backend' }>[] = [];
  for (const one of understood) {
    if (one.kind !== 'backend') continue;
    ids.set(`${one.pool} ${one.object.url}`, one.id);
    if (one.object.source === 'api') added.push(one);
  }
  const wanted = wantedObjects(content, keys, ids, nextId);
  for (const { pool, id, object, key } of added) {
    if (!wanted.pools.has(pool) || wanted.objects.has(key)) continue;
    wanted.objects.set(key, valueOf(withoutVersion(object)));
    wanted.objects.set(keys.unique(pool, object.url), valueOf({ id }));
  }
  const before = new Map(listing.objects.map(({ key, value }) => [key, value]));
  const puts = [...wanted.objects].filter(([key, value]) => before.get(key) !== value);
  const isKept = keptControls(understood, added, wanted);
  const removed = understood.filter(
    (one) => isContent(one, keys) && !wanted.objects.has(one.key) && !isKept(one),
  );
  // What others need comes before them, and goes after them.
  const writes: Write[] = [
    ...puts.map(([key, value]) => ({ put: key, value })),
    ...removed.toReversed().map(({ key }) => ({ remove: key })),
  ];
  if (writes.length > 0) {
    if (wanted.nextId !== nextId) {
      writes.unshift({ put: keys.ids, value: valueOf({ next: wanted.nextId }) });
    }
    const change = { writes: () => writes, epoch, head, instance: 'fairlead cluster' };
    const revision = await commitStaged(store, keys, change).catch((error: unknown) => {
      if (error instanceof StageLost) throw new ContentRefused(`${error.message}: ${DO_AGAIN}`);
      throw error;
    });
    if (revision === undefined) {
      throw new ContentRefused(`somebody else has changed the store meanwhile: ${DO_AGAIN}`);
    }
  }
  return { ...wanted.counts, written: puts.length, removed: removed.length };
}

/** What is read as a whole: the store, or a copy of it. */
export type ListedStore = Pick<RegistryStore, 'list'>;

/** What operators want of backends and no config can say: which drain, and which are disabled. @throws ContentRefused, StoreError */
export async function statesIn(
  store: ListedStore,
  keys: StoreKeys,
): Promise<{ readonly pool: string; readonly url: string; readonly state: string }[]> {
  const { understood } = readStore(await store.list(keys.cfg), keys);
  return understood.flatMap((one) => {
    if (one.kind !== 'control' || one.object.state === undefined) return [];
    return [{ pool: one.pool, url: one.object.url, state: one.object.state }];
  });
}

/** As a config file would say it, with what operators have changed, as far as one can. @throws ContentRefused, StoreError */
export async function exportFrom(store: ListedStore, keys: StoreKeys): Promise<RawConfig> {
  const { understood } = readStore(await store.list(keys.cfg), keys);
  const asListed = understood.map((one) =>
    one.kind === 'backend' ? { ...one, object: { ...one.object, source: 'config' as const } } : one,
  );
  const { value } = documentOf(asListed.map((one) => withControl(one, understood))).config;
  const pools = isMapping(value['pools']) ? value['pools'] : {};
  const strategies = new Map(
    understood.flatMap((one) =>
      one.kind === 'pool-control' ? [[one.pool, one.object.strategy]] : [],
    ),
  );
  const named = Object.entries(pools).map(([name, pool]) => {
    const strategy = strategies.get(name);
    return [name, isMapping(pool) && strategy !== undefined ? { ...pool, strategy } : pool];
  });
  return { pools: Object.fromEntries(named), routes: value['routes'] };
}

/**
 * The store is the one from now on, for all that knew it by one of these epochs: those of its members, and its own.
 * @returns the new epoch. @throws ContentRefused, StoreError
 */
export async function acceptStore(
  store: RegistryStore,
  keys: StoreKeys,
  known: readonly string[],
): Promise<string> {
  const { epoch, understood } = readStore(await store.list(keys.cfg), keys);
  if (understood.length === 0) throw new ContentRefused('there is nothing in the store');
  const next = randomUUID();
  await commitAll(
    store,
    [{ key: keys.epoch, value: epoch }],
    [
      { put: keys.epoch, value: next },
      { put: keys.succeeds, value: JSON.stringify([...new Set([epoch, ...known])]) },
      headOf(keys),
    ],
  );
  return next;
}

interface Wanted {
  /** Values by key, pools first, then backends, then routes. */
  readonly objects: Map<string, string>;
  readonly pools: ReadonlySet<string>;
  /** Backends by pool and URL, with the environment filled in; true: it was there before. */
  readonly places: ReadonlyMap<string, boolean>;
  readonly nextId: number;
  readonly counts: ContentCounts;
}

/** @param ids those of backends that are known, by pool and URL. */
function wantedObjects(
  { shared, settings }: FileContent,
  keys: StoreKeys,
  ids: ReadonlyMap<string, number>,
  firstId: number,
): Wanted {
  const objects = new Map<string, string>();
  const lists = new Map<string, unknown>();
  const pools = isMapping(shared['pools']) ? shared['pools'] : {};
  for (const [name, pool] of Object.entries(pools)) {
    const { backends = [], ...rest } = isMapping(pool) ? pool : {};
    lists.set(name, backends);
    objects.set(keys.pool(name), valueOf({ pool: rest }));
  }
  const places = new Map<string, boolean>();
  let nextId = firstId;
  let count = 0;
  for (const { name, backends } of settings.pools) {
    const written = lists.get(name);
    if (!Array.isArray(written)) continue;
    for (const [index, { url: plain, weight, isBackup: backup }] of backends.entries()) {
      const item: unknown = written[index];
      const text = String(isMapping(item) ? item['url'] : item);
      // A reference is for each instance to fill in.
      const url = text.includes('${') ? text : plain;
      const known = ids.get(`${name} ${url}`);
      const id = known ?? nextId++;
      places.set(`${name} ${plain}`, known !== undefined);
      objects.set(keys.backend(name, id), valueOf({ url, weight, backup, source: 'config' }));
      objects.set(keys.unique(name, url), valueOf({ id }));
      count++;
    }
  }
  const routes = Array.isArray(shared['routes']) ? shared['routes'] : [];
  const digits = String(routes.length).length;
  for (const [index, route] of routes.entries()) {
    const id = String(index + 1).padStart(digits, '0');
    objects.set(keys.route(id), valueOf({ order: (index + 1) * ORDER_STEP, route }));
  }
  return {
    objects,
    pools: new Set(Object.keys(pools)),
    places,
    nextId,
    counts: { pools: Object.keys(pools).length, backends: count, routes: routes.length },
  };
}

function readStore({ objects }: Listing, keys: StoreKeys) {
  const epoch = objects.find(({ key }) => key === keys.epoch)?.value;
  const head = objects.find(({ key }) => key === keys.head)?.revision;
  if (epoch === undefined || head === undefined) {
    throw new ContentRefused(
      `there is no cluster at ${keys.root}: fairlead cluster init begins one`,
    );
  }
  if (objects.some(({ key }) => key === keys.staged)) {
    throw new ContentRefused('a change of many objects is being written: do it again in a moment');
  }
  const understood = objects.flatMap((object): Understood[] => {
    try {
      return [understand(object, keys)];
    } catch {
      // What nobody can read is replaced where it has to be.
      return [];
    }
  });
  const next = understood.find((one) => one.kind === 'ids');
  return { epoch, head, understood, nextId: next?.kind === 'ids' ? next.object.next : 0 };
}

/** What an import decides about. */
function isContent({ kind, key }: Understood, keys: StoreKeys): boolean {
  if (['pool', 'route', 'backend', 'control', 'pool-control'].includes(kind)) return true;
  return key.startsWith(`${keys.cfg}uniq/`);
}

/**
 * Those of what is found or not there stay, too: they rest until it is. But a removal is over when its backend is no longer listed, and who
 * lists it again wants it back, as `fitToConfig` has it: it stays with a backend that does, or that is in no list at all.
 * @param added by operators.
 */
function keptControls(
  understood: readonly Understood[],
  added: readonly Understood[],
  { pools, places }: Wanted,
): (one: Understood) => boolean {
  const stays = new Set([...placesOf(added), ...places.keys()]);
  const before = new Set(placesOf(understood));
  for (const [place, wasThere] of places) if (wasThere) before.add(place);
  return (one) => {
    if (one.kind === 'pool-control') return pools.has(one.pool);
    if (one.kind !== 'control' || !pools.has(one.pool)) return false;
    const place = `${one.pool} ${one.object.url}`;
    return one.object.leaves_at === undefined || before.has(place) === stays.has(place);
  };
}

function placesOf(all: readonly Understood[]): string[] {
  return all.flatMap((one) => (one.kind === 'backend' ? [`${one.pool} ${one.object.url}`] : []));
}

function withControl(one: Understood, all: readonly Understood[]): Understood {
  if (one.kind !== 'backend') return one;
  const control = all.find(
    (other) =>
      other.kind === 'control' && other.pool === one.pool && other.object.url === one.object.url,
  );
  if (control?.kind !== 'control') return one;
  const { weight, backup } = control.object;
  const { object } = one;
  return {
    ...one,
    object: { ...object, weight: weight ?? object.weight, backup: backup ?? object.backup },
  };
}

function withoutVersion({ v: _version, ...others }: BackendObject): object {
  return others;
}

function headOf(keys: StoreKeys): Write {
  return { put: keys.head, value: valueOf({ write: randomUUID(), instance: 'fairlead cluster' }) };
}

function* batches(writes: readonly Write[]): Generator<Write[]> {
  for (let from = 0; from < writes.length; from += MOST_WRITES) {
    yield writes.slice(from, from + MOST_WRITES);
  }
}

/** @returns its revision. */
async function commitAll(
  store: RegistryStore,
  conditions: readonly Condition[],
  writes: readonly Write[],
): Promise<number> {
  const commit = await store.commit({ conditions, writes });
  if (commit.isDone) return commit.revision;
  const keys = conditions.map(({ key }) => key).join(', ');
  throw new ContentRefused(`somebody else has changed the store meanwhile (${keys}): ${DO_AGAIN}`);
}
