/** A store in the memory of this process: for one instance, and for tests of what is built on a store. */
import { KeptLease } from './kept-lease.ts';
import type {
  Commit,
  Lease,
  LeaseOptions,
  Listing,
  RegistryStore,
  StoredObject,
  Transaction,
  Watch,
  Watcher,
} from './registry-store.ts';
import type { StoreTable } from './store-table.ts';
import { SYSTEM_TIMING, type Timing } from './timing.ts';

export class TableStore implements RegistryStore {
  readonly #table: StoreTable;
  readonly #timing: Timing;
  readonly #watches = new Set<Watch>();
  readonly #leases = new Set<KeptLease>();

  constructor(table: StoreTable, timing: Timing = SYSTEM_TIMING) {
    this.#table = table;
    this.#timing = timing;
  }

  async list(prefix: string): Promise<Listing> {
    return this.#table.list(prefix);
  }

  async read(key: string): Promise<{ revision: number; object: StoredObject | undefined }> {
    return this.#table.read(key);
  }

  watch(prefix: string, after: number, watcher: Watcher): Watch {
    const watch = this.#table.watch(prefix, after, watcher);
    this.#watches.add(watch);
    return {
      close: () => {
        this.#watches.delete(watch);
        watch.close();
      },
    };
  }

  commit(transaction: Transaction): Promise<Commit> {
    return this.#table.commit(transaction);
  }

  async lease(options: LeaseOptions): Promise<Lease> {
    const askedAt = this.#timing.now();
    const id = this.#table.grant(options.ttlMs);
    const calls = {
      renew: async () => this.#table.renew(id),
      revoke: async () => {
        this.#leases.delete(lease);
        await this.#table.revoke(id);
      },
    };
    const lease = new KeptLease(id, askedAt, options, calls, this.#timing);
    this.#leases.add(lease);
    return lease;
  }

  async close(): Promise<void> {
    for (const watch of this.#watches) watch.close();
    for (const lease of this.#leases) lease.stop();
  }
}
