/**
 * What a configuration that several instances share needs of an engine. Behind it stand etcd, a file, and the memory of a process.
 *
 * Every commit that writes has a revision, which only grows; all that it writes carries that one. The revision of an object is
 * its ETag. Who uses this relies on no clock but its own.
 */

export interface StoredObject {
  readonly key: string;
  readonly value: string;
  /** Of the commit that wrote this value. */
  readonly revision: number;
  /** Of the commit that made the key, since it was last absent. Of a lock, it is the fencing token. */
  readonly createdAt: number;
}

/** All of one moment. */
export interface Listing {
  readonly revision: number;
  /** Sorted by the bytes of their keys. */
  readonly objects: readonly StoredObject[];
}

/** What must hold for a commit to be made. */
export type Condition =
  | { readonly key: string; readonly isAbsent: true }
  | { readonly key: string; readonly revision: number }
  | { readonly key: string; readonly createdAt: number }
  | { readonly key: string; readonly value: string };

export type Write =
  /** With a lease: it goes when the lease does. */
  | { readonly put: string; readonly value: string; readonly lease?: string }
  | { readonly remove: string };

export interface Transaction {
  readonly conditions: readonly Condition[];
  /** All of them, if all conditions hold; else none. */
  readonly writes: readonly Write[];
}

/** Neither may have more; etcd's `--max-txn-ops` is 128 if nobody says otherwise. */
const MOST_OPERATIONS = 128;

export type Commit =
  | { readonly isDone: true; readonly revision: number }
  /** A condition did not hold. */
  | {
      readonly isDone: false;
      readonly revision: number;
      /** Those of the conditions, as they are; without those that are absent. */
      readonly found: readonly StoredObject[];
    };

export interface Change {
  readonly key: string;
  /** Undefined: it is gone. */
  readonly object: StoredObject | undefined;
}

/** Told in this order: `started`, `changed` any number of times, `ended`, after which nothing follows. Nothing after `close()`. */
export interface Watcher {
  started(): void;
  /** Commits are told whole, one or several at a time. @param revision of the last of them. */
  changed(changes: readonly Change[], revision: number): void;
  ended(why: WatchEnd): void;
}

export type WatchEnd =
  /** What came after the revision asked for is known no more: all has to be read again. */
  | { readonly kind: 'compacted' }
  /** The store has not come as far as the revision asked for: it was wiped, or restored. */
  | { readonly kind: 'went-back'; readonly revision: number }
  | { readonly kind: 'failed'; readonly reason: string };

export interface Watch {
  close(): void;
}

export interface LeaseOptions {
  /** So long after the last renewal the store drops it, and what was put with it. Whole seconds in etcd: rounded up. */
  readonly ttlMs: number;
  /** Once, as soon as it may be over in the store. Not after `release()`. */
  readonly onLost?: () => void;
}

/** Renewed by itself, at a third of its time. */
export interface Lease {
  readonly id: string;
  /** False: it may be over in the store. By the clock of this process, from before the last renewal was asked for. */
  isHeld(): boolean;
  /** What was put with it is gone then. Never rejects: a store that can't be reached drops it when its time is over. */
  release(): Promise<void>;
}

/** All calls reject with a `StoreError`, within a bounded time. */
export interface RegistryStore {
  /** Everything whose key begins with the prefix. What was committed before the call is in it. */
  list(prefix: string): Promise<Listing>;
  /** One object; undefined where it is absent. What was committed before the call is seen. */
  read(
    key: string,
    deadlineMs?: number,
  ): Promise<{ readonly revision: number; readonly object: StoredObject | undefined }>;
  /** All changes after this revision, once each, in order. */
  watch(prefix: string, after: number, watcher: Watcher): Watch;
  /** Never made twice. @throws StoreError; of its kinds, only `outcome-unknown` leaves open whether it was made. */
  commit(transaction: Transaction): Promise<Commit>;
  lease(options: LeaseOptions): Promise<Lease>;
  /** Watches end without a word. Leases are renewed no more. */
  close(): Promise<void>;
}

export type StoreFault =
  /** Nobody could be asked, or nobody who may decide: nothing was done. */
  | 'unreachable'
  /** It was asked for, and no answer came. */
  | 'outcome-unknown'
  /** It takes no writes until there is room. */
  | 'full'
  /** It was asked for something that it does not do, or that we may not have. */
  | 'refused';

export class StoreError extends Error {
  readonly kind: StoreFault;

  constructor(kind: StoreFault, message: string) {
    super(message);
    this.name = 'StoreError';
    this.kind = kind;
  }
}

/** What no engine would do is the same error with all of them. @throws StoreError */
export function checkTransaction({ conditions, writes }: Transaction): void {
  const most = Math.max(conditions.length, writes.length);
  if (most > MOST_OPERATIONS) {
    throw new StoreError('refused', `${most} operations at once; at most ${MOST_OPERATIONS}`);
  }
  const keys = new Set(writes.map(keyOf));
  if (keys.size < writes.length) {
    throw new StoreError('refused', 'a key is written twice in one transaction');
  }
}

export function keyOf(write: Write): string {
  return 'put' in write ? write.put : write.remove;
}
