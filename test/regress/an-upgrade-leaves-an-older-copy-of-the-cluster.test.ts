/**
 * While changes come in a stream, a copy of what the store holds is written to the disk once a second. The old process of an upgrade wrote the one
 * that waited when it ended: over that of the new process, which is newer.
 */
import { expect, test } from 'vitest';
import type { FollowedCopy } from '../../src/control/cluster/followed-store.ts';
import { KeptCopy } from '../../src/control/cluster/kept-copy.ts';
import { recordLog } from '../control/fixtures.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

function copyAt(revision: number): FollowedCopy {
  const object = { key: 'cfg/a', value: String(revision), revision, createdAt: 2 };
  return { epoch: 'first', revision, objects: new Map([[object.key, object]]) };
}

function made() {
  const path = `${temporaryFolder('copies')}/cluster.json`;
  const process = () => new KeptCopy(path, 'shop', recordLog());
  const inFile = async () => (await process().load())?.copy.revision;
  return { before: process(), after: process(), inFile };
}

test('what waits is written before the new process is started, and nothing by the old one afterwards', async () => {
  const { before, after, inFile } = made();
  before.save(copyAt(1));
  await before.hold();
  expect(await inFile()).toBe(1);
  before.save(copyAt(2));
  after.save(copyAt(3));
  await after.close();
  await before.close();
  expect(await inFile()).toBe(3);
});

test('where the upgrade fails, the old process goes on with what has come meanwhile', async () => {
  const { before, inFile } = made();
  before.save(copyAt(1));
  await before.hold();
  before.save(copyAt(2));
  before.goOn();
  await before.close();
  expect(await inFile()).toBe(2);
});
