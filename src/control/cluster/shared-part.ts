/**
 * A part of the store that the instances of a cluster share, beside what they are configured by: keys in it are relative to the cluster.
 *
 * What was read of it last is kept here and on the disk, without what goes with a lease. A store that was wiped or begun anew is not read
 * until the cluster runs on it; then what was known before, and is not there, is put into it.
 */
import type { ClusterSettings } from '../../config/settings.ts';
import type { Logger } from '../../observe/logger.ts';
import type { FollowedCopy } from './followed-store.ts';
import { KeptCopy } from './kept-copy.ts';
import {
  type Change,
  type Commit,
  type Condition,
  type Lease,
  type LeaseOptions,
  type Listing,
  type RegistryStore,
  type StoredObject,
  StoreError,
  type Transaction,
  type Watch,
  type WatchEnd,
  type Watcher,
  type Write,
} from './registry-store.ts';
import type { Seal } from './sealed.ts';
import type { StoreKeys } from './store-keys.ts';
import { StoreTable } from './store-table.ts';
import { TableStore } from './table-store.ts';

export interface PartTerms {
  /** All of its keys begin with it, and it ends with a slash. */
  readonly prefix: string;
  /** Whether it is put on the disk, and into a store that takes the place of another one. Not where it goes with a lease. */
  readonly isLasting: (key: string) => boolean;
}

export interface SharedPartOptions extends PartTerms {
  readonly settings: Pick<ClusterSettings, 'snapshotFile'>;
  readonly store: RegistryStore;
  readonly keys: StoreKeys;
  /** Undefined: there is no key. */
  readonly seal: Seal | undefined;
  readonly log: Logger;
  /** Of the store that the cluster runs on; `whyNot`: it can't be asked now. */
  readonly place: () => { readonly epoch: string | undefined; readonly whyNot: string | undefined };
}

export class SharedPart implements RegistryStore {
  readonly seal: Seal | undefined;
  readonly #options: SharedPartOptions;
  readonly #root: string;
  readonly #kept: KeptCopy | undefined;
  #known: FollowedCopy | undefined;
  #isLoaded = false;
  /** Each ends a watch. */
  readonly #watches = new Set<(why: WatchEnd) => void>();

  constructor(options: SharedPartOptions) {
    const { settings, keys, prefix, log, seal } = options;
    this.seal = seal;
    this.#options = options;
    this.#root = keys.root;
    const file = settings.snapshotFile?.replace(/(\.json)?$/, `.${prefix.slice(0, -1)}.json`);
    this.#kept = file === undefined ? undefined : new KeptCopy(file, keys.root + prefix, log);
  }

  /** What was known last, to be read only; undefined: nothing. Never rejects. */
  async lastKnown(): Promise<RegistryStore | undefined> {
    await this.#load();
    if (this.#known === undefined) return undefined;
    const { revision, objects } = this.#known;
    return new TableStore(
      new StoreTable({ content: { revision, objects: [...objects.values()] } }),
    );
  }

  async list(prefix: string): Promise<Listing> {
    await this.#load();
    const { place, store, keys, prefix: own } = this.#options;
    const { epoch, whyNot } = place();
    if (whyNot !== undefined || epoch === undefined) {
      throw new StoreError('unreachable', whyNot ?? 'the store has not been read yet');
    }
    let listing = await this.#read(own);
    // What was read before this one is of the same store.
    const { object } = await store.read(keys.epoch);
    if (object?.value !== epoch) {
      throw new StoreError('refused', 'the store is not the one that the cluster runs on');
    }
    if (await this.#carryOver(epoch, listing)) listing = await this.#read(own);
    this.#learn(epoch, listing);
    return { ...listing, objects: listing.objects.filter(({ key }) => key.startsWith(prefix)) };
  }

  async read(
    key: string,
    deadlineMs?: number,
  ): Promise<{ readonly revision: number; readonly object: StoredObject | undefined }> {
    const { revision, object } = await this.#options.store.read(this.#root + key, deadlineMs);
    return { revision, object: object && this.#inside(object) };
  }

  watch(prefix: string, after: number, watcher: Watcher): Watch {
    const end = (why: WatchEnd): void => {
      close();
      watcher.ended(why);
    };
    const watch = this.#options.store.watch(this.#root + prefix, after, {
      started: () => watcher.started(),
      changed: (changes, revision) => {
        const inside = changes.map(({ key, object }) => ({
          key: key.slice(this.#root.length),
          object: object && this.#inside(object),
        }));
        this.#hear(inside, revision);
        watcher.changed(inside, revision);
      },
      ended: end,
    });
    const close = (): void => {
      this.#watches.delete(end);
      watch.close();
    };
    this.#watches.add(end);
    return { close };
  }

  /** The store can't be followed, by what the cluster knows: a watch may be silent for ever. */
  doubted(reason: string): void {
    // Who hears of it may watch again at once.
    const all = [...this.#watches];
    for (const end of all) end({ kind: 'failed', reason });
  }

  /** Not made in a store that has taken the place of the one that the cluster runs on. */
  async commit({ conditions, writes }: Transaction): Promise<Commit> {
    const { place, store, keys } = this.#options;
    const { epoch } = place();
    if (epoch === undefined) throw new StoreError('unreachable', 'the store has not been read yet');
    const commit = await store.commit({
      conditions: [
        ...conditions.map((one): Condition => ({ ...one, key: this.#root + one.key })),
        { key: keys.epoch, value: epoch },
      ],
      writes: writes.map(
        (one): Write =>
          'put' in one
            ? { ...one, put: this.#root + one.put }
            : { remove: this.#root + one.remove },
      ),
    });
    if (commit.isDone) return commit;
    return { ...commit, found: commit.found.map((object) => this.#inside(object)) };
  }

  lease(options: LeaseOptions): Promise<Lease> {
    return this.#options.store.lease(options);
  }

  async hold(): Promise<void> {
    await this.#kept?.hold();
  }

  goOn(): void {
    this.#kept?.goOn();
  }

  /** The store stays open: it is the cluster's. */
  async close(): Promise<void> {
    await this.#kept?.close();
  }

  async #load(): Promise<void> {
    if (this.#isLoaded) return;
    this.#isLoaded = true;
    this.#known = (await this.#kept?.load())?.copy;
  }

  async #read(prefix: string): Promise<Listing> {
    const { revision, objects } = await this.#options.store.list(this.#root + prefix);
    return { revision, objects: objects.map((object) => this.#inside(object)) };
  }

  #inside(object: StoredObject): StoredObject {
    return { ...object, key: object.key.slice(this.#root.length) };
  }

  /** Of the store before, what is not in this one. @returns whether that was anything. */
  async #carryOver(epoch: string, { revision, objects }: Listing): Promise<boolean> {
    const known = this.#known;
    if (known === undefined || (known.epoch === epoch && revision >= known.revision)) return false;
    const there = new Set(objects.map(({ key }) => key));
    const missing = [...known.objects.values()].filter(({ key }) => !there.has(key));
    for (const { key, value } of missing) {
      // Another instance may be at it.
      await this.commit({ conditions: [{ key, isAbsent: true }], writes: [{ put: key, value }] });
    }
    return missing.length > 0;
  }

  #learn(epoch: string, { revision, objects }: Listing): void {
    const lasting = objects.filter(({ key }) => this.#options.isLasting(key));
    this.#keep({ epoch, revision, objects: new Map(lasting.map((one) => [one.key, one])) });
  }

  #hear(changes: readonly Change[], revision: number): void {
    const known = this.#known;
    if (known === undefined || revision <= known.revision) return;
    const lasting = changes.filter(({ key }) => this.#options.isLasting(key));
    if (lasting.length === 0) return;
    const objects = new Map(known.objects);
    for (const { key, object } of lasting) {
      if (object === undefined) objects.delete(key);
      else objects.set(key, object);
    }
    this.#keep({ ...known, revision, objects });
  }

  #keep(copy: FollowedCopy): void {
    const isSame =
      this.#known?.epoch === copy.epoch &&
      this.#known.objects.size === copy.objects.size &&
      [...copy.objects].every(
        ([key, { revision }]) => this.#known?.objects.get(key)?.revision === revision,
      );
    this.#known = copy;
    if (!isSame) this.#kept?.save(copy);
  }
}
