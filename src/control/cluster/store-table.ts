/**
 * The engine in this process: objects, the last changes, leases. `TableStore` is a way to it, and there may be several, as there are
 * several clients of an etcd.
 *
 * A commit is saved, then in force, then told. One at a time.
 */
import { randomUUID } from 'node:crypto';
import {
  type Change,
  type Commit,
  type Condition,
  checkTransaction,
  keyOf,
  type Listing,
  type StoredObject,
  StoreError,
  type Transaction,
  type Watch,
  type Watcher,
  type Write,
} from './registry-store.ts';
import { SYSTEM_TIMING } from './timing.ts';

/** So many commits can be asked for afterwards. */
const MOST_KEPT_COMMITS = 1_000;

export interface TableContent {
  readonly revision: number;
  readonly objects: readonly StoredObject[];
}

export interface StoreTableOptions {
  readonly content?: TableContent;
  /** Called before each commit is in force, with what will stand then, without what goes with a lease. A rejection undoes it. */
  readonly save?: (content: TableContent) => Promise<void>;
}

interface KeptCommit {
  readonly revision: number;
  readonly changes: readonly Change[];
}

interface GrantedLease {
  readonly ttlMs: number;
  readonly keys: Set<string>;
  callOff: () => void;
}

interface Follower {
  readonly prefix: string;
  readonly watcher: Watcher;
}

export class StoreTable {
  readonly #save: (content: TableContent) => Promise<void>;
  #revision: number;
  #objects: ReadonlyMap<string, StoredObject>;
  readonly #leaseOf = new Map<string, string>();
  readonly #leases = new Map<string, GrantedLease>();
  readonly #commits: KeptCommit[] = [];
  /** Commits up to this one can't be asked for any more. */
  #compactedAt: number;
  readonly #followers = new Set<Follower>();
  #last: Promise<unknown> = Promise.resolve();

  constructor({
    content = { revision: 1, objects: [] },
    save = async () => {},
  }: StoreTableOptions = {}) {
    this.#save = save;
    this.#revision = content.revision;
    this.#compactedAt = content.revision;
    this.#objects = new Map(content.objects.map((object) => [object.key, object]));
  }

  list(prefix: string): Listing {
    const objects = [...this.#objects.values()].filter(({ key }) => key.startsWith(prefix));
    return { revision: this.#revision, objects: objects.toSorted(byKey) };
  }

  read(key: string): { revision: number; object: StoredObject | undefined } {
    return { revision: this.#revision, object: this.#objects.get(key) };
  }

  commit(transaction: Transaction): Promise<Commit> {
    return this.#inTurn(() => this.#commit(transaction));
  }

  watch(prefix: string, after: number, watcher: Watcher): Watch {
    const follower = { prefix, watcher };
    let isClosed = false;
    queueMicrotask(() => {
      if (!isClosed) this.#begin(follower, after);
    });
    return {
      close: () => {
        isClosed = true;
        this.#followers.delete(follower);
      },
    };
  }

  /** What came before can't be watched from any more. */
  compact(): void {
    this.#compactedAt = this.#revision;
    this.#commits.length = 0;
  }

  grant(ttlMs: number): string {
    const id = randomUUID();
    this.#leases.set(id, { ttlMs, keys: new Set(), callOff: this.#endLater(id, ttlMs) });
    return id;
  }

  renew(id: string): number | undefined {
    const lease = this.#leases.get(id);
    if (lease === undefined) return undefined;
    lease.callOff();
    lease.callOff = this.#endLater(id, lease.ttlMs);
    return lease.ttlMs;
  }

  async revoke(id: string): Promise<void> {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    lease.callOff();
    this.#leases.delete(id);
    if (lease.keys.size === 0) return;
    const writes = [...lease.keys].map((key) => ({ remove: key }));
    await this.#inTurn(() => this.#write(writes));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  #endLater(id: string, ttlMs: number): () => void {
    // Where that can't be saved, it stays until it is written anew: better than a lease that ends before its time.
    return SYSTEM_TIMING.after(ttlMs, () => void this.revoke(id).catch(() => {}));
  }

  #begin(follower: Follower, after: number): void {
    const { prefix, watcher } = follower;
    if (after > this.#revision) {
      watcher.ended({ kind: 'went-back', revision: this.#revision });
      return;
    }
    watcher.started();
    if (after < this.#compactedAt) {
      watcher.ended({ kind: 'compacted' });
      return;
    }
    this.#followers.add(follower);
    const missed = this.#commits.filter(({ revision }) => revision > after);
    const changes = missed.flatMap((commit) => matching(commit.changes, prefix));
    if (changes.length > 0) watcher.changed(changes, missed.at(-1)?.revision ?? after);
  }

  async #commit(transaction: Transaction): Promise<Commit> {
    checkTransaction(transaction);
    const { conditions, writes } = transaction;
    if (!conditions.every((condition) => this.#holds(condition))) {
      const keys = [...new Set(conditions.map(({ key }) => key))];
      const found = keys.map((key) => this.#objects.get(key)).filter((one) => one !== undefined);
      return { isDone: false, revision: this.#revision, found };
    }
    for (const write of writes) {
      if ('put' in write && write.lease !== undefined && !this.#leases.has(write.lease)) {
        throw new StoreError('refused', 'the lease is gone');
      }
    }
    return { isDone: true, revision: await this.#write(writes) };
  }

  #holds(condition: Condition): boolean {
    const object = this.#objects.get(condition.key);
    if ('isAbsent' in condition) return object === undefined;
    if (object === undefined) return false;
    if ('revision' in condition) return object.revision === condition.revision;
    if ('createdAt' in condition) return object.createdAt === condition.createdAt;
    return object.value === condition.value;
  }

  async #write(writes: readonly Write[]): Promise<number> {
    const revision = this.#revision + 1;
    const objects = new Map(this.#objects);
    const leased = new Map(this.#leaseOf);
    const changes: Change[] = [];
    for (const write of writes) {
      const key = keyOf(write);
      leased.delete(key);
      if ('put' in write) {
        const createdAt = objects.get(key)?.createdAt ?? revision;
        const object = { key, value: write.value, revision, createdAt };
        objects.set(key, object);
        if (write.lease !== undefined) leased.set(key, write.lease);
        changes.push({ key, object });
      } else if (objects.delete(key)) {
        changes.push({ key, object: undefined });
      }
    }
    if (changes.length === 0) return this.#revision;
    const lasting = [...objects.values()].filter(({ key }) => !leased.has(key));
    await this.#save({ revision, objects: lasting });
    this.#revision = revision;
    this.#objects = objects;
    this.#noteLeases(writes, leased);
    this.#keep({ revision, changes });
    for (const { prefix, watcher } of this.#followers) {
      const told = matching(changes, prefix);
      if (told.length > 0) watcher.changed(told, revision);
    }
    return revision;
  }

  #noteLeases(writes: readonly Write[], leased: ReadonlyMap<string, string>): void {
    for (const key of writes.map(keyOf)) {
      const before = this.#leaseOf.get(key);
      if (before !== undefined) this.#leases.get(before)?.keys.delete(key);
      const now = leased.get(key);
      if (now === undefined) {
        this.#leaseOf.delete(key);
        continue;
      }
      this.#leaseOf.set(key, now);
      this.#leases.get(now)?.keys.add(key);
    }
  }

  #keep(commit: KeptCommit): void {
    this.#commits.push(commit);
    if (this.#commits.length <= MOST_KEPT_COMMITS) return;
    this.#compactedAt = this.#commits.shift()?.revision ?? this.#compactedAt;
  }
}

function matching(changes: readonly Change[], prefix: string): Change[] {
  return changes.filter(({ key }) => key.startsWith(prefix));
}

function byKey(a: StoredObject, b: StoredObject): number {
  return Buffer.compare(Buffer.from(a.key), Buffer.from(b.key));
}
