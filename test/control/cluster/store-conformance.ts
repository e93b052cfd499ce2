/** What every engine behind the port does: the same cases for memory, file and etcd. */
import { describe, expect, test } from 'vitest';
import { tryLock } from '../../../src/control/cluster/fenced-lock.ts';
import type { RegistryStore } from '../../../src/control/cluster/registry-store.ts';
import type { Timing } from '../../../src/control/cluster/timing.ts';
import { freezableTiming } from '../../support/freezable-timing.ts';
import { follow, put, untilTold, valueOf } from '../../support/store-watch.ts';
import { waitFor } from '../../support/wait-for.ts';

/** Of one engine, however many clients it has. */
export interface Engine {
  /** A client, closed after the test. */
  client(timing?: Timing): RegistryStore;
  /** What happened so far can't be watched from any more. */
  compact(): void | Promise<void>;
}

/** @param open an empty engine, gone after the test. */
export function describeStore(name: string, open: () => Promise<Engine>): void {
  describe(`a store in ${name}`, () => {
    test('lists what begins with a prefix, sorted, as of one revision', async () => {
      const store = (await open()).client();
      expect((await store.list('a/')).objects).toEqual([]);
      await put(store, 'a/2', 'two');
      await put(store, 'a/ü', 'Umlaut: é');
      await put(store, 'b/1', 'other');
      const revision = await put(store, 'a/1', '');
      const listing = await store.list('a/');
      expect(listing.revision).toBe(revision);
      expect(listing.objects.map(({ key, value }) => [key, value])).toEqual([
        ['a/1', ''],
        ['a/2', 'two'],
        ['a/ü', 'Umlaut: é'],
      ]);
      expect((await store.list('')).objects).toHaveLength(4);
      expect(await store.read('a/1')).toEqual({
        revision,
        object: { key: 'a/1', value: '', revision, createdAt: revision },
      });
      expect((await store.read('a/none')).object).toBeUndefined();
    });

    test('lists more than fits into one answer', async () => {
      const store = (await open()).client();
      const keys = Array.from({ length: 1_100 }, (_, index) => `many/${10_000 + index}`);
      for (let from = 0; from < keys.length; from += 100) {
        const writes = keys.slice(from, from + 100).map((key) => ({ put: key, value: key }));
        await store.commit({ conditions: [], writes });
      }
      const listing = await store.list('many/');
      expect(listing.objects.map(({ key }) => key)).toEqual(keys);
    });

    test('commits all or nothing, and tells what stood in the way', async () => {
      const store = (await open()).client();
      const first = await put(store, 'a', '1');
      const second = await put(store, 'a', '2');
      for (const condition of [
        { key: 'a', isAbsent: true },
        { key: 'a', revision: first },
        { key: 'a', createdAt: second },
        { key: 'a', value: '1' },
        { key: 'none', revision: second },
        { key: 'none', value: '' },
        { key: 'none', createdAt: second },
      ] as const) {
        const commit = await store.commit({
          conditions: [{ key: 'a', value: '2' }, condition],
          writes: [{ put: 'b', value: 'x' }, { remove: 'a' }],
        });
        const found = [{ key: 'a', value: '2', revision: second, createdAt: first }];
        expect(commit).toEqual({ isDone: false, revision: second, found });
      }
      const done = await store.commit({
        conditions: [
          { key: 'a', revision: second },
          { key: 'a', createdAt: first },
          { key: 'none', isAbsent: true },
        ],
        writes: [{ put: 'b', value: 'x' }, { put: 'c', value: 'y' }, { remove: 'a' }],
      });
      expect(done.isDone).toBe(true);
      expect(done.revision).toBeGreaterThan(second);
      const { objects } = await store.list('');
      expect(objects.map(({ key, revision }) => [key, revision])).toEqual([
        ['b', done.revision],
        ['c', done.revision],
      ]);
    });

    test('lets one of many win that compare the same revision', async () => {
      const engine = await open();
      const clients = [engine.client(), engine.client()];
      const revision = await put(engine.client(), 'a', '0');
      const commits = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (clients[index % 2] as RegistryStore).commit({
            conditions: [{ key: 'a', revision }],
            writes: [{ put: 'a', value: String(index) }],
          }),
        ),
      );
      expect(commits.filter(({ isDone }) => isDone)).toHaveLength(1);
      const winner = commits.findIndex(({ isDone }) => isDone);
      expect(await valueOf(engine.client(), 'a')).toBe(String(winner));
    });

    test('refuses more operations than etcd takes, and a key that is written twice', async () => {
      const store = (await open()).client();
      const writes = Array.from({ length: 129 }, (_, index) => ({ put: `k${index}`, value: '' }));
      await expect(store.commit({ conditions: [], writes })).rejects.toMatchObject({
        kind: 'refused',
      });
      const twice = [{ put: 'a', value: '' }, { remove: 'a' }];
      await expect(store.commit({ conditions: [], writes: twice })).rejects.toMatchObject({
        kind: 'refused',
      });
      const most = await store.commit({ conditions: [], writes: writes.slice(1) });
      expect(most.isDone).toBe(true);
    });

    test('tells all changes after a revision, commits whole, to each watch', async () => {
      const engine = await open();
      const store = engine.client();
      const after = await put(store, 'w/a', '1');
      await put(store, 'w/a', '2');
      await put(store, 'other', 'x');
      const early = follow(engine.client(), 'w/', after);
      await waitFor(() => early.isStarted());
      const late = follow(store, 'w/', await put(store, 'w/b', '3'));
      const both = await store.commit({
        conditions: [],
        writes: [{ remove: 'w/a' }, { put: 'w/c', value: '4' }],
      });
      await untilTold(late, ['w/a', 'w/c=4']);
      await untilTold(early, ['w/a=2', 'w/b=3', 'w/a', 'w/c=4']);
      expect(early.batches.at(-1)).toBe(both.revision);
      expect(late.batches).toEqual([both.revision]);
      early.close();
      await put(store, 'w/d', '5');
      await untilTold(late, ['w/a', 'w/c=4', 'w/d=5']);
      expect(early.told()).toHaveLength(4);
    });

    test('says that a revision is compacted', async () => {
      const engine = await open();
      const store = engine.client();
      const old = await put(store, 'a', '1');
      await put(store, 'a', '2');
      await put(store, 'a', '3');
      await engine.compact();
      const followed = follow(store, 'a', old);
      await waitFor(() => followed.end());
      expect(followed.end()).toEqual({ kind: 'compacted' });
      expect(followed.changes).toEqual([]);
    });

    test('says that it has not come as far as it is asked for', async () => {
      const store = (await open()).client();
      const revision = await put(store, 'a', '1');
      const followed = follow(store, 'a', revision + 1_000);
      await waitFor(() => followed.end());
      expect(followed.end()).toEqual({ kind: 'went-back', revision });
      expect(followed.isStarted()).toBe(false);
      const level = follow(store, 'a', revision);
      await waitFor(() => level.isStarted());
    });

    test('drops what was put with a lease once nobody renews it', async () => {
      const engine = await open();
      const timing = freezableTiming();
      let lost = 0;
      const lease = await engine.client(timing).lease({ ttlMs: 1_000, onLost: () => lost++ });
      const store = engine.client();
      const write = { put: 'm/one', value: 'here', lease: lease.id };
      const { revision } = await store.commit({ conditions: [], writes: [write] });
      const followed = follow(store, 'm/', revision);
      // It is renewed: it outlives three times its own time.
      const end = performance.now() + 3_500;
      await waitFor(() => performance.now() > end, 10_000);
      expect(lease.isHeld()).toBe(true);
      expect(await valueOf(store, 'm/one')).toBe('here');
      timing.freeze();
      await untilTold(followed, ['m/one']);
      timing.thaw();
      await waitFor(() => lost === 1);
      expect(lease.isHeld()).toBe(false);
      await expect(store.commit({ conditions: [], writes: [write] })).rejects.toMatchObject({
        kind: 'refused',
      });
    });

    test('a lease that is released takes what was put with it along, and is not lost', async () => {
      const store = (await open()).client();
      let lost = 0;
      const lease = await store.lease({ ttlMs: 60_000, onLost: () => lost++ });
      const write = { put: 'm/one', value: 'here', lease: lease.id };
      await store.commit({ conditions: [], writes: [write, { put: 'm/two', value: 'stays' }] });
      await lease.release();
      expect((await store.list('m/')).objects.map(({ key }) => key)).toEqual(['m/two']);
      expect(lease.isHeld()).toBe(false);
      expect(lost).toBe(0);
    });

    test('gives a lock to one, and a write of a holder that slept too long is refused', async () => {
      const engine = await open();
      const timing = freezableTiming();
      const sleeper = engine.client(timing);
      const other = engine.client();
      const options = { key: 'locks/order', ttlMs: 1_000 };
      const first = await tryLock(sleeper, { ...options, holder: 'one' });
      expect(await tryLock(other, { ...options, holder: 'two' })).toBeUndefined();
      timing.freeze();
      const second = await waitFor(() => tryLock(other, { ...options, holder: 'two' }));
      expect(second.token).toBeGreaterThan(first?.token ?? Number.POSITIVE_INFINITY);
      const writes = [{ put: 'done', value: 'by one' }];
      const late = first?.fence() ?? { key: 'never', value: '' };
      expect((await sleeper.commit({ conditions: [late], writes })).isDone).toBe(false);
      const fenced = { conditions: [second.fence()], writes: [{ put: 'done', value: 'by two' }] };
      expect((await other.commit(fenced)).isDone).toBe(true);
      timing.thaw();
      await waitFor(() => first?.isHeld() === false);
      expect(await valueOf(other, 'done')).toBe('by two');
      await second.release();
      expect(await tryLock(sleeper, { ...options, holder: 'one' })).toBeDefined();
    });

    test('tells nothing more once it is closed', async () => {
      const engine = await open();
      const store = engine.client();
      const followed = follow(store, '', await put(store, 'a', '1'));
      await waitFor(() => followed.isStarted());
      await store.close();
      const other = engine.client();
      const seen = follow(other, '', await put(other, 'a', '2'));
      await put(other, 'a', '3');
      await untilTold(seen, ['a=3']);
      expect(followed.told()).toEqual([]);
      expect(followed.end()).toBeUndefined();
    });
  });
}
