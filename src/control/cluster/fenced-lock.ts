/**
 * One holder at a time, on any store. A lock is a key that goes with its holder's lease.
 *
 * That a process believes to hold it is worth little: it may have been stopped for a minute since it looked. So each write under a
 * lock carries `fence()` as a condition, and is refused where the lock has gone to another.
 */
import type { Condition, Lease, RegistryStore } from './registry-store.ts';

export interface FencedLock {
  /** Grows with each holder. */
  readonly token: number;
  /** Holds as long as the store says that this holder has the lock. */
  fence(): Condition;
  /** By the clock of this process. */
  isHeld(): boolean;
  /** Never rejects. */
  release(): Promise<void>;
}

export interface LockOptions {
  readonly key: string;
  /** For people: who has it. */
  readonly holder: string;
  readonly ttlMs: number;
  readonly onLost?: () => void;
}

/** Undefined: another one has it. @throws StoreError */
export async function tryLock(
  store: RegistryStore,
  { key, holder, ttlMs, onLost }: LockOptions,
): Promise<FencedLock | undefined> {
  const lease = await store.lease({ ttlMs, ...(onLost && { onLost }) });
  try {
    const commit = await store.commit({
      conditions: [{ key, isAbsent: true }],
      writes: [{ put: key, value: holder, lease: lease.id }],
    });
    if (commit.isDone) return lockOf(key, commit.revision, lease);
  } catch (error) {
    // It may have been taken all the same: it goes with the lease.
    await lease.release();
    throw error;
  }
  await lease.release();
  return undefined;
}

function lockOf(key: string, token: number, lease: Lease): FencedLock {
  return {
    token,
    fence: () => ({ key, createdAt: token }),
    isHeld: () => lease.isHeld(),
    release: () => lease.release(),
  };
}
