/** The copy on the disk that an instance starts from without its store. */
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { FollowedCopy } from '../../../src/control/cluster/followed-store.ts';
import { LastKnownGood } from '../../../src/control/cluster/last-known-good.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

function copyAt(revision: number, value: string): FollowedCopy {
  const object = { key: 'cfg/a', value, revision, createdAt: 2 };
  return { epoch: 'first', revision, objects: new Map([[object.key, object]]) };
}

function newFile(): string {
  return join(temporaryFolder('good'), 'good.json');
}

test('gives back what was saved last, in another process too, and shows it to nobody', async () => {
  const path = newFile();
  const good = new LastKnownGood(path, 'shop');
  expect(await good.load()).toBeUndefined();
  await good.save(copyAt(5, 'one\nline'));
  await good.save(copyAt(6, 'ü'));
  expect(await new LastKnownGood(path, 'shop').load()).toEqual(copyAt(6, 'ü'));
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(`${path}.previous`).mode & 0o777).toBe(0o600);
});

test('one that was torn or changed is passed over for the one before it, at any length', async () => {
  const path = newFile();
  const good = new LastKnownGood(path, 'shop');
  await good.save(copyAt(5, 'before'));
  await good.save(copyAt(6, 'newest'));
  const whole = readFileSync(path, 'utf8');
  // The end of the last line says nothing.
  for (let length = whole.length - 2; length >= 0; length -= 7) {
    truncateSync(path, length);
    expect(await new LastKnownGood(path, 'shop').load()).toEqual(copyAt(5, 'before'));
  }
  writeFileSync(path, whole.replace('newest', 'forged'));
  const again = new LastKnownGood(path, 'shop');
  expect(await again.load()).toEqual(copyAt(5, 'before'));
  // What is whole stays behind the next one; the torn one does not.
  await again.save(copyAt(7, 'next'));
  writeFileSync(path, '');
  expect(await again.load()).toEqual(copyAt(5, 'before'));
});

test('the copy of another store is none', async () => {
  const path = newFile();
  await new LastKnownGood(path, 'shop').save(copyAt(5, 'one'));
  expect(await new LastKnownGood(path, 'other').load()).toBeUndefined();
});
