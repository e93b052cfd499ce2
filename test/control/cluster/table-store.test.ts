/** The stores in this process: in memory, and in a file. */
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openFileTable } from '../../../src/control/cluster/file-table.ts';
import { StoreTable } from '../../../src/control/cluster/store-table.ts';
import { TableStore } from '../../../src/control/cluster/table-store.ts';
import { afterTest } from '../../support/after-test.ts';
import { put, valueOf } from '../../support/store-watch.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { describeStore, type Engine } from './store-conformance.ts';

function engineOf(table: StoreTable): Engine {
  return {
    client(timing) {
      const store = new TableStore(table, timing);
      afterTest(() => store.close());
      return store;
    },
    compact: () => table.compact(),
  };
}

async function openFile(path: string): Promise<StoreTable> {
  const { table, release } = await openFileTable(path);
  afterTest(release);
  return table;
}

describeStore('memory', async () => engineOf(new StoreTable()));
describeStore('a file', async () =>
  engineOf(await openFile(join(temporaryFolder('store'), 'store.json'))),
);

test('a file has everything when it is opened again, but not what went with a lease', async () => {
  const path = join(temporaryFolder('store'), 'store.json');
  const before = await openFileTable(path);
  const store = new TableStore(before.table);
  await put(store, 'a', '1');
  const revision = await put(store, 'a', '2');
  const lease = await store.lease({ ttlMs: 60_000 });
  const member = { put: 'members/one', value: 'here', lease: lease.id };
  await store.commit({ conditions: [], writes: [member] });
  await store.close();
  await expect(openFileTable(path)).rejects.toThrow('another process uses it');
  await before.release();
  expect(statSync(path).mode & 0o777).toBe(0o600);

  const again = new TableStore(await openFile(path));
  const { objects, revision: now } = await again.list('');
  expect(objects.map(({ key, value }) => [key, value])).toEqual([['a', '2']]);
  expect(objects[0]?.revision).toBe(revision);
  // Revisions only grow, over the restart too.
  expect(await put(again, 'a', '3')).toBe(now + 1);
  expect(now).toBeGreaterThan(revision);
});

test('a file that is none of ours, or broken, is refused and left as it is', async () => {
  const path = join(temporaryFolder('store'), 'store.json');
  for (const text of ['', '{"version":1}', '{"pools":{}}', 'port: 8080\n']) {
    writeFileSync(path, text);
    await expect(openFileTable(path)).rejects.toThrow(`${path} holds no store of Fairlead`);
    expect(readFileSync(path, 'utf8')).toBe(text);
  }
});

test('a commit that can not be saved has not happened', async () => {
  const folder = join(temporaryFolder('store'), 'sub');
  mkdirSync(folder);
  const store = new TableStore(await openFile(join(folder, 'store.json')));
  const revision = await put(store, 'a', '1');
  rmSync(folder, { recursive: true });
  await expect(put(store, 'a', '2')).rejects.toMatchObject({ kind: 'unreachable' });
  expect(await valueOf(store, 'a')).toBe('1');
  mkdirSync(folder);
  expect(await put(store, 'a', '3')).toBe(revision + 1);
});
