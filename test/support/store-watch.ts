/** Follows a store in a test, and keeps what it is told. */
import type { Change, RegistryStore, WatchEnd } from '../../src/control/cluster/registry-store.ts';
import { afterTest } from './after-test.ts';
import { waitFor } from './wait-for.ts';

export interface Followed {
  readonly changes: Change[];
  /** `key=value`, or `key` where it is gone, in the order in which they were told. */
  told(): string[];
  readonly batches: number[];
  isStarted(): boolean;
  end(): WatchEnd | undefined;
  close(): void;
}

export function follow(store: RegistryStore, prefix: string, after: number): Followed {
  const changes: Change[] = [];
  const batches: number[] = [];
  let isStarted = false;
  let end: WatchEnd | undefined;
  const watch = store.watch(prefix, after, {
    started: () => (isStarted = true),
    changed: (some, revision) => {
      changes.push(...some);
      batches.push(revision);
    },
    ended: (why) => (end = why),
  });
  afterTest(() => watch.close());
  return {
    changes,
    batches,
    told: () => changes.map(({ key, object }) => (object ? `${key}=${object.value}` : key)),
    isStarted: () => isStarted,
    end: () => end,
    close: () => watch.close(),
  };
}

/** @returns the revision. */
export async function put(store: RegistryStore, key: string, value: string): Promise<number> {
  const { revision } = await store.commit({ conditions: [], writes: [{ put: key, value }] });
  return revision;
}

export async function valueOf(store: RegistryStore, key: string): Promise<string | undefined> {
  return (await store.read(key)).object?.value;
}

export async function untilTold(followed: Followed, told: readonly string[]): Promise<void> {
  const wanted = told.join(' ');
  const what = `${wanted} to be told`;
  await waitFor(() => followed.told().join(' ') === wanted, undefined, what).catch(
    (error: unknown) => {
      throw new Error(`told: ${followed.told().join(' ')}`, { cause: error });
    },
  );
}
