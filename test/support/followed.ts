/** Begins a store, writes to it as instances do, and follows it in a test. */
import {
  type FollowedCopy,
  type FollowedState,
  FollowedStore,
} from '../../src/control/cluster/followed-store.ts';
import type { RegistryStore } from '../../src/control/cluster/registry-store.ts';
import type { Timing } from '../../src/control/cluster/timing.ts';
import { afterTest } from './after-test.ts';
import { waitFor } from './wait-for.ts';

const PLACE = {
  prefix: 'cfg/',
  headKey: 'cfg/head',
  epochKey: 'cfg/epoch',
  succeedsKey: 'cfg/succeeds',
};

export interface FollowedInTest {
  readonly followed: FollowedStore;
  readonly copies: FollowedCopy[];
  /** `state` or `state: reason`, as they came. */
  readonly states: string[];
  /** Waits for it. */
  becomes(state: FollowedState): Promise<void>;
  /** Waits until these are the values of `cfg/…`, without head and epoch. */
  has(values: Readonly<Record<string, string>>): Promise<void>;
}

export function followStore(
  store: RegistryStore,
  more: { readonly known?: FollowedCopy; readonly timing?: Timing } = {},
): FollowedInTest {
  const copies: FollowedCopy[] = [];
  const states: string[] = [];
  const followed = new FollowedStore({
    store,
    ...PLACE,
    ...more,
    onCopy: (copy) => copies.push(copy),
    onState: (state, reason) => states.push(reason === undefined ? state : `${state}: ${reason}`),
  });
  afterTest(() => followed.close());
  return {
    followed,
    copies,
    states,
    becomes: async (state) => {
      await waitFor(() => followed.state === state, undefined, `${state}, not ${followed.state}`);
    },
    has: async (values) => {
      const wanted = textOf(new Map(Object.entries(values)));
      await waitFor(() => textOf(valuesOf(followed.copy)) === wanted, undefined, wanted);
    },
  };
}

export async function begin(store: RegistryStore, epoch: string): Promise<void> {
  await store.commit({
    conditions: [{ key: PLACE.epochKey, isAbsent: true }],
    writes: [
      { put: PLACE.epochKey, value: epoch },
      { put: PLACE.headKey, value: '' },
    ],
  });
}

/** With the head, as every write. */
export async function write(store: RegistryStore, name: string, value: string): Promise<void> {
  await store.commit({
    conditions: [],
    writes: [
      { put: `cfg/${name}`, value },
      { put: PLACE.headKey, value: '' },
    ],
  });
}

function valuesOf(copy: FollowedCopy | undefined): Map<string, string> {
  const own = new Set<string>([PLACE.headKey, PLACE.epochKey]);
  const objects = [...(copy?.objects.values() ?? [])].filter(({ key }) => !own.has(key));
  return new Map(objects.map(({ key, value }) => [key.slice(PLACE.prefix.length), value]));
}

function textOf(values: ReadonlyMap<string, string>): string {
  const lines = [...values].map(([key, value]) => `${key}=${value}`);
  return lines.toSorted().join(' ');
}
