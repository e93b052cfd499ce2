/** What operators change, written to a store and read back: the same, at whichever instance. */
import { expect, test } from 'vitest';
import { parseBackendUrl } from '../../../src/config/values/backend-url.ts';
import { accept } from '../../../src/control/cluster/accepted-objects.ts';
import { ChangeWriter } from '../../../src/control/cluster/change-writer.ts';
import { type RegistryStore, StoreError } from '../../../src/control/cluster/registry-store.ts';
import { drainBegunElsewhere, removalsIn } from '../../../src/control/cluster/shared-drains.ts';
import { understand } from '../../../src/control/cluster/shared-objects.ts';
import { stateOf } from '../../../src/control/cluster/shared-state.ts';
import { wishesIn } from '../../../src/control/cluster/shared-wishes.ts';
import { LOCAL_IDS, withShared } from '../../../src/control/state/kept-changes.ts';
import {
  changesOf,
  inPool,
  type OperatorEntry,
  type OperatorState,
  withEntry,
} from '../../../src/control/state/operator-state.ts';
import { disturbed, instanceLoad, KEYS, objectsIn, storeWith } from './made.ts';

const SHOP = {
  pools: { web: { backends: ['http://a', 'http://b'] } },
  routes: [{ path: '/', pool: 'web' }],
};
const TERMS = { at: undefined, actor: { token: 'me' }, drain: undefined };

async function readFrom(store: RegistryStore) {
  const objects = await objectsIn(store);
  const accepted = accept(objects, undefined, KEYS, instanceLoad);
  if (accepted === undefined) throw new Error('nothing was accepted');
  const { state } = stateOf(accepted.wishes, accepted.document, accepted.loaded.settings);
  const revision = Math.max(...[...objects.values()].map((object) => object.revision));
  return { state, copy: { epoch: objects.get(KEYS.epoch)?.value ?? '', revision, objects } };
}

/** An instance that runs on what the store holds now. */
async function instance(store: RegistryStore) {
  const { state, copy } = await readFrom(store);
  const writer = new ChangeWriter({ store, keys: KEYS, instance: 'one' });
  writer.base = copy;
  const write = (next: OperatorState, at?: number) =>
    writer.write(state, next, { ...TERMS, at }, undefined, async () => {});
  return { state, writer, write };
}

async function never(): Promise<void> {}

function changed(state: OperatorState, url: string, change: Partial<OperatorEntry>): OperatorState {
  return inPool(state, 'web', (changes) => {
    const entry = changes.entries.get(url);
    if (entry === undefined) throw new Error(`there is no ${url}`);
    return withEntry(changes, url, { ...entry, ...change });
  });
}

function added(state: OperatorState, url: string, id: number): OperatorState {
  const parsed = parseBackendUrl(url);
  if (!parsed.ok) throw new Error(parsed.reason);
  const entry: OperatorEntry = {
    url,
    id,
    source: 'api',
    address: parsed.address,
    weight: 4,
    isBackup: true,
    state: undefined,
    isRemoved: false,
    isLeaving: false,
    wasFound: false,
  };
  return inPool(state, 'web', (changes) => withEntry(changes, url, entry));
}

function entriesOf(state: OperatorState): OperatorEntry[] {
  return [...changesOf(state, 'web').entries.values()];
}

test.each<[string, (state: OperatorState) => OperatorState]>([
  ['a weight', (state) => changed(state, 'http://a', { weight: 9 })],
  ['a state', (state) => changed(state, 'http://b', { state: 'draining' })],
  ['a backup', (state) => changed(state, 'http://b', { isBackup: true })],
  ['a strategy', (state) => inPool(state, 'web', (one) => ({ ...one, strategy: 'ip-hash' }))],
  ['an addition', (state) => added(state, 'http://c', 2)],
])('%s is read back as it was written, and taken back', async (_, change) => {
  const store = await storeWith(SHOP);
  const first = await instance(store);
  const next = change(first.state);
  expect(await first.write(next)).toBeGreaterThan(0);
  expect((await readFrom(store)).state).toEqual(next);
  const second = await instance(store);
  const back = await second.write(first.state);
  expect(back).toBeGreaterThan(0);
  expect((await readFrom(store)).state).toEqual(first.state);
});

test('one that was removed comes back with its id and its state', async () => {
  const store = await storeWith(SHOP);
  const before = added((await readFrom(store)).state, 'http://c', 2);
  await (await instance(store)).write(before);
  const first = await instance(store);
  await first.write(inPool(before, 'web', (changes) => withEntry(changes, 'http://c', undefined)));
  const second = await instance(store);
  const next = changed(added(second.state, 'http://c', 2), 'http://c', { state: 'disabled' });
  expect(await second.write(next)).toBeGreaterThan(0);
  expect((await readFrom(store)).state).toEqual(next);
  expect((await instance(store)).writer.nextId).toBe(3);
});

test('a change of 200 backends at once is one change, unless somebody else has changed something', async () => {
  const urls = Array.from({ length: 200 }, (_, index) => `http://10.0.0.${index}`);
  const large = { pools: { web: { backends: urls } }, routes: [{ path: '/', pool: 'web' }] };
  const store = await storeWith(large);
  const [one, other] = [await instance(store), await instance(store)];
  const next = urls.reduce((state, url) => changed(state, url, { weight: 7 }), one.state);
  expect(await one.write(next)).toBeGreaterThan(0);
  expect((await readFrom(store)).state).toEqual(next);
  expect((await objectsIn(store)).has(KEYS.staged)).toBe(false);
  const late = urls.reduce((state, url) => changed(state, url, { weight: 8 }), other.state);
  expect(await other.write(late)).toBeUndefined();
  expect((await readFrom(store)).state).toEqual(next);
});

test('while a change of many objects is on its way, no other one is made', async () => {
  const store = await storeWith(SHOP);
  const one = await instance(store);
  await store.commit({ conditions: [], writes: [{ put: KEYS.staged, value: 'x' }] });
  expect(await one.write(changed(one.state, 'http://a', { weight: 2 }))).toBeUndefined();
});

test('of two that change the same, one is told to look again; of others, both are made', async () => {
  const store = await storeWith(SHOP);
  const [one, other] = [await instance(store), await instance(store)];
  expect(await one.write(changed(one.state, 'http://a', { weight: 2 }))).toBeDefined();
  expect(await other.write(changed(other.state, 'http://a', { weight: 3 }))).toBeUndefined();
  expect(await other.write(changed(other.state, 'http://b', { weight: 4 }))).toBeDefined();
  const { entries } = changesOf((await readFrom(store)).state, 'web');
  expect([...entries.values()].map(({ weight }) => weight)).toEqual([2, 4]);
});

test('with a revision, nothing else may have changed', async () => {
  const store = await storeWith(SHOP);
  const [one, other] = [await instance(store), await instance(store)];
  const head = (await objectsIn(store)).get(KEYS.head)?.revision;
  await one.write(changed(one.state, 'http://a', { weight: 2 }));
  expect(await other.write(changed(other.state, 'http://b', { weight: 4 }), head)).toBeUndefined();
});

test('two additions at once never get the same id, nor the same URL twice', async () => {
  const store = await storeWith(SHOP);
  const [one, other] = [await instance(store), await instance(store)];
  expect(one.writer.nextId).toBe(2);
  expect(await one.write(added(one.state, 'http://c', one.writer.nextId))).toBeDefined();
  expect(one.writer.nextId).toBe(3);
  expect(await other.write(added(other.state, 'http://d', other.writer.nextId))).toBeUndefined();
  expect(await other.write(added(other.state, 'http://c', other.writer.nextId))).toBeUndefined();
});

test('a backend that is removed is gone with all that was said of it, and may be added again', async () => {
  const store = await storeWith(SHOP);
  const before = [...(await objectsIn(store)).keys()];
  const one = await instance(store);
  await one.write(changed(one.state, 'http://b', { state: 'disabled' }));
  const two = await instance(store);
  const without = inPool(two.state, 'web', (changes) => withEntry(changes, 'http://b', undefined));
  expect(await two.write(without)).toBeDefined();
  const left = [...(await objectsIn(store)).keys()];
  expect(before.filter((key) => !left.includes(key)).toSorted()).toEqual(
    [KEYS.backend('web', 1), KEYS.unique('web', 'http://b')].toSorted(),
  );
  expect(left).not.toContain(KEYS.control('web', 'http://b'));
  const three = await instance(store);
  expect(await three.write(added(three.state, 'http://b', three.writer.nextId))).toBeDefined();
});

test('how a backend drains is for all, and neither a new weight nor another clock ends it', async () => {
  const store = await storeWith(SHOP);
  const one = await instance(store);
  const drain = { ms: 60_000, sessions: 'move', cutsRequests: true, begunAt: 5_000 } as const;
  const leaving = changed(one.state, 'http://a', { state: 'draining', isLeaving: true });
  const place = { pool: 'web', url: 'http://a' };
  const terms = { ...TERMS, drain: { ...drain, ...place } };
  await one.writer.write(one.state, leaving, terms, undefined, async () => {});
  const two = await instance(store);
  await two.write(changed(two.state, 'http://a', { weight: 3 }));
  const objects = await objectsIn(store);
  const seenBy = (self: string, { writer } = one) =>
    drainBegunElsewhere(objects, KEYS, { ...place, self }, writer.drainsBegun);
  expect(seenBy('other', two)).toEqual(drain);
  // Who has begun it sees to it already; the process that it was before does not.
  expect(seenBy('one')).toBeUndefined();
  expect(seenBy('one', two)).toEqual(drain);
  const understood = [...objects.values()].map((object) => understand(object, KEYS));
  expect(removalsIn(wishesIn(understood))).toEqual([
    { ...place, leavesAt: 65_000, drainMs: 60_000 },
  ]);
  // Wanted back, nothing of it is left.
  const three = await instance(store);
  await three.write(changed(three.state, 'http://a', { state: undefined, isLeaving: false }));
  expect((await objectsIn(store)).get(KEYS.control('web', 'http://a'))?.value).not.toContain(
    'drain',
  );
});

test('a drain with another deadline is written, also where all else is as it was', async () => {
  const store = await storeWith(SHOP);
  const first = await instance(store);
  const leaving = changed(first.state, 'http://a', { state: 'draining', isLeaving: true });
  const drain = { ms: 60_000, sessions: 'keep', cutsRequests: false, begunAt: 5_000 } as const;
  const place = { pool: 'web', url: 'http://a' };
  const begun = { ...drain, ...place };
  await first.writer.write(first.state, leaving, { ...TERMS, drain: begun }, undefined, never);
  const again = { ...begun, ms: 600_000, begunAt: 35_000 };
  const { state, writer } = await instance(store);
  await writer.write(state, state, { ...TERMS, drain: again }, undefined, never);
  const understood = [...(await objectsIn(store)).values()].map((one) => understand(one, KEYS));
  expect(removalsIn(wishesIn(understood))).toEqual([
    { ...place, leavesAt: 635_000, drainMs: 600_000 },
  ]);
  expect((await readFrom(store)).state).toEqual(state);
});

test('a drain that was written without an answer is as the store has it', async () => {
  const store = await storeWith(SHOP);
  const { state, copy } = await readFrom(store);
  const silent = { ...disturbed(store, () => undefined) };
  silent.commit = async (transaction) => {
    await store.commit(transaction);
    throw new StoreError('outcome-unknown', 'no answer came');
  };
  const writer = new ChangeWriter({ store: silent, keys: KEYS, instance: 'one' });
  writer.base = copy;
  const drain = { ms: 60_000, sessions: 'move', cutsRequests: true, begunAt: 5_000 } as const;
  const drained = changed(state, 'http://a', { state: 'draining' });
  const place = { pool: 'web', url: 'http://a' };
  const terms = { ...TERMS, drain: { ...drain, ...place } };
  const written = writer.write(state, drained, terms, undefined, async () => {});
  await expect(written).rejects.toMatchObject({ kind: 'unknown' });
  const at = { ...place, self: 'one' };
  const seen = drainBegunElsewhere(await objectsIn(store), KEYS, at, writer.drainsBegun);
  expect(seen).toEqual(drain);
});

test('a backend that is found keeps the id of the process, and what is wanted of it is for all', async () => {
  const store = await storeWith(SHOP);
  const { state } = await instance(store);
  const found: OperatorEntry = {
    url: 'http://found',
    id: LOCAL_IDS,
    source: 'config',
    address: undefined,
    weight: undefined,
    isBackup: undefined,
    state: undefined,
    isRemoved: false,
    isLeaving: false,
    wasFound: false,
  };
  const withFound = inPool(state, 'web', (changes) => withEntry(changes, found.url, found));
  const writer = new ChangeWriter({ store, keys: KEYS, instance: 'one' });
  writer.base = (await readFrom(store)).copy;
  const drained = changed(withFound, found.url, { state: 'draining' });
  await writer.write(withFound, drained, TERMS, undefined, async () => {});
  const shared = (await readFrom(store)).state;
  expect(changesOf(shared, 'web').entries.get(found.url)).toMatchObject({ state: 'draining' });
  const taken = withShared({ inForce: withFound, kept: withFound }, shared);
  expect(changesOf(taken.inForce, 'web').entries.get(found.url)).toMatchObject({
    id: LOCAL_IDS,
    state: 'draining',
  });
});

test('what was changed at this instance alone stays so, under changes of others', async () => {
  const store = await storeWith(SHOP);
  const { state } = await instance(store);
  const alone = changed(state, 'http://b', { state: 'disabled' });
  const other = await instance(store);
  await other.write(changed(other.state, 'http://a', { weight: 7 }));
  const shared = (await readFrom(store)).state;
  const { inForce, kept } = withShared({ inForce: alone, kept: state }, shared);
  expect(entriesOf(inForce).map((one) => [one.weight, one.state])).toEqual([
    [7, undefined],
    [undefined, 'disabled'],
  ]);
  expect(entriesOf(kept).map((one) => one.state)).toEqual([undefined, undefined]);
});
