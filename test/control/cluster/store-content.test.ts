/** A store as a whole, in memory: begun, changed to another file, printed, and accepted anew. */
import { expect, test } from 'vitest';
import type { RegistryStore } from '../../../src/control/cluster/registry-store.ts';
import {
  acceptStore,
  beginStore,
  ContentRefused,
  exportFrom,
  importInto,
} from '../../../src/control/cluster/store-content.ts';
import { waitFor } from '../../support/wait-for.ts';
import { contentOf, disturbed, KEYS, loadFile, objectsIn, storeWith } from './made.ts';

const SHOP = {
  pools: {
    web: { strategy: 'random-two', backends: ['http://a', { url: 'http://b', weight: 3 }] },
  },
  routes: [{ path: '/', pool: 'web' }],
};

test('a store is begun once', async () => {
  const store = await storeWith(SHOP);
  const before = await objectsIn(store);
  await expect(beginStore(store, KEYS, contentOf(SHOP))).rejects.toThrow(ContentRefused);
  expect(await objectsIn(store)).toEqual(before);
});

test('what is printed makes the same config, with what operators have changed', async () => {
  const store = await storeWith(SHOP);
  const same = loadFile(await exportFrom(store, KEYS)).settings;
  expect(same.pools).toEqual(loadFile(SHOP).settings.pools);
  expect(same.routes).toEqual(loadFile(SHOP).settings.routes);
  await store.commit({
    conditions: [],
    writes: [
      { put: KEYS.poolControl('web'), value: '{"v":1,"strategy":"ip-hash"}' },
      { put: KEYS.control('web', 'http://a'), value: '{"v":1,"url":"http://a","weight":9}' },
      {
        put: KEYS.backend('web', 2),
        value: '{"v":1,"url":"http://c","weight":1,"backup":true,"source":"api"}',
      },
    ],
  });
  expect(await exportFrom(store, KEYS)).toEqual({
    pools: {
      web: {
        strategy: 'ip-hash',
        backends: [
          { url: 'http://a', weight: 9 },
          { url: 'http://b', weight: 3 },
          { url: 'http://c', weight: 1, backup: true },
        ],
      },
    },
    routes: SHOP.routes,
  });
});

test('an import leaves what stays its id and what operators made of it, and gives new ones', async () => {
  const store = await storeWith(SHOP);
  const control = KEYS.control('web', 'http://b');
  const added = KEYS.backend('web', 2);
  await store.commit({
    conditions: [],
    writes: [
      { put: control, value: '{"v":1,"url":"http://b","state":"draining"}' },
      { put: KEYS.ids, value: '{"v":1,"next":3}' },
      { put: added, value: '{"v":1,"url":"http://x","weight":1,"backup":false,"source":"api"}' },
    ],
  });
  const next = {
    pools: { web: { backends: ['http://b', 'http://c'] }, more: { backends: ['http://a'] } },
    routes: [
      { path: '/', pool: 'web' },
      { path: '/more/', pool: 'more' },
    ],
  };
  const done = await importInto(store, KEYS, contentOf(next));
  expect(done).toMatchObject({ pools: 2, backends: 3, routes: 2 });
  const objects = await objectsIn(store);
  const backends = [...objects.keys()].filter((key) => key.startsWith(`${KEYS.cfg}backends/`));
  expect(backends.toSorted()).toEqual([
    KEYS.backend('more', 4),
    KEYS.backend('web', 1),
    added,
    KEYS.backend('web', 3),
  ]);
  expect(objects.has(control)).toBe(true);
  expect(objects.get(KEYS.ids)?.value).toBe('{"v":1,"next":5}');
  expect(await importInto(store, KEYS, contentOf(next))).toMatchObject({ written: 0, removed: 0 });
});

/** The backend of `web` is to be removed. */
function leaving(url: string) {
  const value = JSON.stringify({ v: 1, url, state: 'draining', leaves_at: 1 });
  return { put: KEYS.control('web', url), value };
}

test('an import ends removals of backends that it no longer lists, and who lists one again has it', async () => {
  const store = await storeWith(SHOP);
  const urls = ['http://a', 'http://b', 'http://found', 'http://new'];
  await store.commit({ conditions: [], writes: urls.map(leaving) });
  const next = { ...SHOP, pools: { web: { backends: ['http://a', 'http://new'] } } };
  await importInto(store, KEYS, contentOf(next));
  const kept = async (): Promise<string[]> => {
    const objects = await objectsIn(store);
    return urls.filter((url) => objects.has(KEYS.control('web', url)));
  };
  // That of `new` was of one that was found.
  expect(await kept()).toEqual(['http://a', 'http://found']);
  await importInto(store, KEYS, contentOf(SHOP));
  expect(await kept()).toEqual(['http://a', 'http://found']);
});

test('more than fits into one transaction is written, and nobody runs on a part of it', async () => {
  const backends = Array.from({ length: 300 }, (_, index) => `http://h${index}`);
  const store = await storeWith({
    pools: { web: { backends } },
    routes: [{ path: '/', pool: 'web' }],
  });
  const objects = await objectsIn(store);
  const epoch = objects.get(KEYS.epoch);
  expect([...objects.values()].every(({ revision }) => revision <= (epoch?.revision ?? 0))).toBe(
    true,
  );
  expect([...objects.keys()].filter((key) => key.includes('/backends/'))).toHaveLength(300);
});

test('a store that is accepted names the epochs that it takes the place of', async () => {
  const store = await storeWith(SHOP);
  const before = (await objectsIn(store)).get(KEYS.epoch)?.value ?? '';
  const epoch = await acceptStore(store, KEYS, ['of a member']);
  const objects = await objectsIn(store);
  expect(objects.get(KEYS.epoch)?.value).toBe(epoch);
  expect(JSON.parse(objects.get(KEYS.succeeds)?.value ?? '')).toEqual([before, 'of a member']);
});

/** 250 backends: more than one transaction has room for. */
const LARGE = {
  pools: { web: { backends: Array.from({ length: 250 }, (_, index) => `http://10.0.0.${index}`) } },
  routes: [{ path: '/', pool: 'web' }],
};

/** The store as those see it who follow it: whether a change is on its way, at each commit. */
function watched(store: RegistryStore, after: number) {
  const stages: boolean[] = [];
  let isStaged = false;
  store.watch(KEYS.cfg, after, {
    started() {},
    ended() {},
    changed(changes) {
      for (const { key, object } of changes)
        if (key === KEYS.staged) isStaged = object !== undefined;
      stages.push(isStaged);
    },
  });
  return stages;
}

test('an import of any size is whole before anybody runs on it', async () => {
  const store = await storeWith(SHOP);
  const stages = watched(store, (await store.list(KEYS.cfg)).revision);
  const done = await importInto(store, KEYS, contentOf(LARGE));
  expect(done).toMatchObject({ backends: 250 });
  expect(loadFile(await exportFrom(store, KEYS)).settings.pools).toEqual(
    loadFile(LARGE).settings.pools,
  );
  await waitFor(() => stages.at(-1) === false);
  expect(stages.length).toBeGreaterThan(4);
  expect(stages.slice(0, -1)).not.toContain(false);
});

test('an import that somebody else gets in the way of says so, and holds up nobody', async () => {
  const store = await storeWith(SHOP);
  const byHand = { conditions: [], writes: [{ put: KEYS.head, value: 'by hand' }] };
  const busy = disturbed(store, (count) => (count === 3 ? store.commit(byHand) : undefined));
  const why = 'only a part of it was written (somebody else has changed the store); it is run on';
  const refused = importInto(busy, KEYS, contentOf(LARGE));
  await expect(refused).rejects.toThrow(ContentRefused);
  await expect(refused).rejects.toThrow(why);
  expect((await objectsIn(store)).has(KEYS.staged)).toBe(false);
});

test('while another change is on its way, nothing is imported or printed', async () => {
  const store = await storeWith(SHOP);
  await store.commit({ conditions: [], writes: [{ put: KEYS.staged, value: 'x' }] });
  await expect(importInto(store, KEYS, contentOf(LARGE))).rejects.toThrow('in a moment');
  await expect(exportFrom(store, KEYS)).rejects.toThrow('in a moment');
});
