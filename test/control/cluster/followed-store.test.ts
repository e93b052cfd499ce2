/** A copy that keeps up with a store, on one in memory; test/peers/on-one-version/etcd has what goes wrong between the two. */
import { expect, test } from 'vitest';
import type { RegistryStore } from '../../../src/control/cluster/registry-store.ts';
import { StoreTable } from '../../../src/control/cluster/store-table.ts';
import { TableStore } from '../../../src/control/cluster/table-store.ts';
import { SYSTEM_TIMING, type Timing } from '../../../src/control/cluster/timing.ts';
import { begin, followStore, write } from '../../support/followed.ts';

/** Time goes by twenty times as fast. */
const FAST: Timing = { ...SYSTEM_TIMING, after: (ms, run) => SYSTEM_TIMING.after(ms / 20, run) };

test('has what is there and what comes, and leaves alone what has not changed', async () => {
  const store = new TableStore(new StoreTable());
  await begin(store, 'first');
  await write(store, 'pools/a', '1');
  await write(store, 'pools/b', '1');
  const follower = followStore(store);
  await follower.has({ 'pools/a': '1', 'pools/b': '1' });
  await follower.becomes('current');
  await write(store, 'pools/b', '2');
  await follower.has({ 'pools/a': '1', 'pools/b': '2' });
  await store.commit({ conditions: [], writes: [{ remove: 'cfg/pools/b' }] });
  await follower.has({ 'pools/a': '1' });
  const [first, last] = [follower.copies[0], follower.copies.at(-1)];
  expect(last?.objects.get('cfg/pools/a')).toBe(first?.objects.get('cfg/pools/a'));
  expect(last?.epoch).toBe('first');
  expect(follower.states).toEqual(['current']);
});

test('what is known from before counts until the store says otherwise, and is not told again', async () => {
  const table = new StoreTable();
  const store = new TableStore(table);
  await begin(store, 'first');
  await write(store, 'a', '1');
  const before = followStore(store);
  await before.has({ a: '1' });
  const known = before.followed.copy;
  const follower = followStore(store, known && { known });
  expect(follower.followed.copy).toBe(known);
  await follower.becomes('current');
  expect(follower.copies).toEqual([]);
  await write(store, 'a', '2');
  await follower.has({ a: '2' });
});

test('a store that is empty, or begun anew, is held until it is accepted', async () => {
  const old = new TableStore(new StoreTable());
  await begin(old, 'first');
  await write(old, 'a', '1');
  const before = followStore(old);
  await before.has({ a: '1' });
  const known = before.followed.copy;

  const anew = new TableStore(new StoreTable());
  const follower = followStore(anew, { timing: FAST, ...(known && { known }) });
  await follower.becomes('held');
  expect(follower.states).toEqual(['held: the store is empty']);
  expect(follower.followed.foundEpoch).toBeUndefined();
  await begin(anew, 'second');
  await write(anew, 'b', '2');
  await expect.poll(() => follower.followed.foundEpoch).toBe('second');
  expect(follower.states.slice(1)).toEqual(['held: the store was begun anew']);
  follower.followed.accept('third');
  expect(follower.copies).toEqual([]);
  expect(follower.followed.copy).toBe(known);
  follower.followed.accept('second');
  await follower.has({ b: '2' });
  await follower.becomes('current');
  expect(follower.followed.foundEpoch).toBeUndefined();
});

test('a store that was restored to what it was before is held as well', async () => {
  const older = new TableStore(new StoreTable());
  await begin(older, 'first');
  await write(older, 'a', 'old');
  const newer = new TableStore(new StoreTable());
  await begin(newer, 'first');
  for (const value of ['old', 'new', 'newest']) await write(newer, 'a', value);
  const before = followStore(newer);
  await before.has({ a: 'newest' });
  const known = before.followed.copy;
  const follower = followStore(older, { timing: FAST, ...(known && { known }) });
  await follower.becomes('held');
  expect(follower.states[0]).toMatch(/the store was restored: it is at revision \d+, and \d+ was/);
  expect(follower.copies).toEqual([]);
  follower.followed.accept('first');
  await follower.has({ a: 'old' });
});

test('a watch that has gone deaf is found out by the head, and all is read again', async () => {
  const table = new StoreTable();
  const store = new TableStore(table);
  await begin(store, 'first');
  const follower = followStore(deafAfterStart(store), { timing: FAST });
  await follower.becomes('current');
  await write(store, 'a', '1');
  await follower.has({ a: '1' });
  expect(follower.states).toContain('current');
});

test('nothing is told any more once it is closed', async () => {
  const store = new TableStore(new StoreTable());
  await begin(store, 'first');
  const follower = followStore(store, { timing: FAST });
  await follower.becomes('current');
  const told = follower.copies.length;
  follower.followed.close();
  const other = followStore(store);
  await write(store, 'a', '1');
  await other.has({ a: '1' });
  expect(follower.copies).toHaveLength(told);
});

/** Its watches begin, and say nothing from then on. */
function deafAfterStart(store: RegistryStore): RegistryStore {
  return {
    list: (prefix) => store.list(prefix),
    read: (key) => store.read(key),
    commit: (transaction) => store.commit(transaction),
    lease: (options) => store.lease(options),
    close: () => store.close(),
    watch: (prefix, after, watcher) =>
      store.watch(prefix, after, {
        started: () => watcher.started(),
        changed: () => {},
        ended: (why) => watcher.ended(why),
      }),
  };
}

test('a store that was begun anew is taken where it says that it takes the place of the one before', async () => {
  const old = new TableStore(new StoreTable());
  await begin(old, 'first');
  for (const value of ['1', '2', '3']) await write(old, 'a', value);
  const before = followStore(old);
  await before.has({ a: '3' });
  const known = before.followed.copy;

  const anew = new TableStore(new StoreTable());
  await begin(anew, 'second');
  const follower = followStore(anew, { timing: FAST, ...(known && { known }) });
  await follower.becomes('held');
  await anew.commit({
    conditions: [],
    writes: [{ put: 'cfg/succeeds', value: '["other","first"]' }],
  });
  await follower.has({ succeeds: '["other","first"]' });
  await follower.becomes('current');
  expect(follower.copies.map(({ epoch }) => epoch)).toEqual(['second']);
});
