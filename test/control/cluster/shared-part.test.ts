/** What instances share beside their configuration: no store that has taken the place of another one empties it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Change, WatchEnd } from '../../../src/control/cluster/registry-store.ts';
import { SharedPart } from '../../../src/control/cluster/shared-part.ts';
import { StoreKeys } from '../../../src/control/cluster/store-keys.ts';
import { StoreTable } from '../../../src/control/cluster/store-table.ts';
import { TableStore } from '../../../src/control/cluster/table-store.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { waitFor } from '../../support/wait-for.ts';

const KEYS = new StoreKeys('/', 'shop');
const log = { debug() {}, info() {}, warn() {}, error() {}, fatal() {} };

interface Place {
  epoch: string | undefined;
  whyNot: string | undefined;
}

async function storeOf(epoch: string): Promise<TableStore> {
  const store = new TableStore(new StoreTable());
  await store.commit({ conditions: [], writes: [{ put: KEYS.epoch, value: epoch }] });
  return store;
}

function partOf(store: TableStore, place: Place, snapshotFile?: string): SharedPart {
  return new SharedPart({
    prefix: 'acme/',
    isLasting: (key) => key !== 'acme/lock',
    settings: { snapshotFile },
    store,
    keys: KEYS,
    seal: undefined,
    log,
    place: () => place,
  });
}

async function put(part: SharedPart, key: string, value = 'x'): Promise<boolean> {
  return (await part.commit({ conditions: [], writes: [{ put: key, value }] })).isDone;
}

async function keysIn(part: SharedPart): Promise<string[]> {
  return (await part.list('acme/')).objects.map(({ key }) => key);
}

test('keys are those of the cluster, and conditions hold as they are written', async () => {
  const store = await storeOf('one');
  const part = partOf(store, { epoch: 'one', whyNot: undefined });
  const told: (readonly Change[])[] = [];
  const { revision } = await part.read('acme/a');
  const watch = part.watch('acme/', revision, {
    started() {},
    changed: (changes) => void told.push(changes),
    ended() {},
  });
  expect(await put(part, 'acme/a')).toBe(true);
  expect((await store.read('/shop/acme/a')).object?.value).toBe('x');
  const { object } = await part.read('acme/a');
  expect(object?.key).toBe('acme/a');
  const absent = { conditions: [{ key: 'acme/a', isAbsent: true as const }], writes: [] };
  const refused = await part.commit(absent);
  expect(refused).toMatchObject({ isDone: false, found: [object, { key: 'cfg/meta/epoch' }] });
  await waitFor(() => told.length > 0);
  expect(told).toEqual([[{ key: 'acme/a', object }]]);
  watch.close();
});

test('what can’t be asked is not read as empty, and what was known is on the disk, without locks', async () => {
  const snapshotFile = join(temporaryFolder('part'), 'fairlead.cluster-one.json');
  const place: Place = { epoch: 'one', whyNot: undefined };
  const store = await storeOf('one');
  const part = partOf(store, place, snapshotFile);
  await put(part, 'acme/a');
  await put(part, 'acme/lock');
  expect(await keysIn(part)).toEqual(['acme/a', 'acme/lock']);
  place.whyNot = 'gone';
  await expect(part.list('acme/')).rejects.toThrow('gone');
  let end: WatchEnd | undefined;
  part.watch('acme/', 0, {
    started() {},
    changed() {},
    ended(why) {
      end = why;
    },
  });
  part.doubted('gone');
  expect(end).toEqual({ kind: 'failed', reason: 'gone' });
  await part.close();
  const file = snapshotFile.replace('.json', '.acme.json');
  expect(readFileSync(file, 'utf8')).toContain('acme/a');
  const next = partOf(store, place, snapshotFile);
  const known = await next.lastKnown();
  expect((await known?.list('acme/'))?.objects.map(({ key }) => key)).toEqual(['acme/a']);
});

test('a store that was begun anew is not read or written, and gets what is missing once it is accepted', async () => {
  const place: Place = { epoch: 'one', whyNot: undefined };
  const snapshotFile = join(temporaryFolder('part'), 'c.json');
  const before = partOf(await storeOf('one'), place, snapshotFile);
  await put(before, 'acme/a', 'kept');
  await put(before, 'acme/b', 'kept');
  expect(await keysIn(before)).toEqual(['acme/a', 'acme/b']);
  await before.close();

  const store = await storeOf('two');
  const part = partOf(store, place, snapshotFile);
  await expect(part.list('acme/')).rejects.toThrow('not the one that the cluster runs on');
  expect(await put(part, 'acme/c')).toBe(false);
  await store.commit({ conditions: [], writes: [{ put: '/shop/acme/a', value: 'newer' }] });
  place.epoch = 'two';
  const { objects } = await part.list('acme/');
  expect(objects.map(({ key, value }) => `${key} ${value}`)).toEqual([
    'acme/a newer',
    'acme/b kept',
  ]);
});
