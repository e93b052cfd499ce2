/** Real files, changed in the ways in which they are changed by those who do that. */
import { mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { FileWatch } from '../../src/control/file-watch.ts';
import { afterTest } from '../support/after-test.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';

let folder: string;

beforeEach(() => {
  folder = temporaryFolder('watch');
});

interface Watched {
  readonly watch: FileWatch;
  changes: number;
}

/** By events alone, unless `pollMs` says otherwise. */
async function watched(paths: readonly string[], pollMs = 3_600_000): Promise<Watched> {
  const self: Watched = {
    watch: new FileWatch({ onChange: () => void self.changes++, pollMs }),
    changes: 0,
  };
  afterTest(() => self.watch.close());
  self.watch.setPaths(paths);
  await self.watch.settled();
  await self.watch.settled();
  return self;
}

/** Perhaps more than once: a file that is written in place is empty first. */
async function told(self: Watched, change: () => void): Promise<boolean> {
  const before = self.changes;
  change();
  return waitFor(() => self.changes > before);
}

function replace(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

function relink(link: string, target: string): void {
  symlinkSync(target, `${link}.new`);
  renameSync(`${link}.new`, link);
}

describe('a change is told', () => {
  test.each<[string, (file: string) => void]>([
    ['written in place', (file) => writeFileSync(file, 'other')],
    ['replaced by a rename', (file) => replace(file, 'other')],
    ['with the same length', (file) => replace(file, 'eno')],
    ['deleted', unlinkSync],
  ])('of a file that is %s', async (_how, change) => {
    const file = join(folder, 'a.crt');
    writeFileSync(file, 'one');
    const self = await watched([file]);
    await expect(told(self, () => change(file))).resolves.toBe(true);
  });

  test('of a file that comes, with the folder that it is in', async () => {
    const file = join(folder, 'later', 'a.crt');
    const self = await watched([file], 20);
    mkdirSync(join(folder, 'later'));
    await expect(told(self, () => writeFileSync(file, 'one'))).resolves.toBe(true);
  });

  test('of a link that leads to another file, as certbot has it', async () => {
    mkdirSync(join(folder, 'archive'));
    mkdirSync(join(folder, 'live'));
    for (const name of ['one', 'two']) writeFileSync(join(folder, 'archive', name), name);
    const link = join(folder, 'live', 'a.crt');
    symlinkSync('../archive/one', link);
    const self = await watched([link]);
    await expect(told(self, () => relink(link, '../archive/two'))).resolves.toBe(true);
    await expect(
      told(self, () => writeFileSync(join(folder, 'archive', 'two'), 'three')),
    ).resolves.toBe(true);
  });

  test('of a link to a folder on the way, as Kubernetes has it', async () => {
    for (const name of ['..1', '..2']) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'tls.crt'), name);
    }
    symlinkSync('..1', join(folder, '..data'));
    symlinkSync('..data/tls.crt', join(folder, 'tls.crt'));
    const self = await watched([join(folder, 'tls.crt')]);
    await expect(told(self, () => relink(join(folder, '..data'), '..2'))).resolves.toBe(true);
  });

  test('of any file in a folder, and of one that comes', async () => {
    const certs = join(folder, 'certs');
    mkdirSync(certs);
    writeFileSync(join(certs, 'a.crt'), 'one');
    const self = await watched([certs]);
    await expect(told(self, () => replace(join(certs, 'a.crt'), 'two'))).resolves.toBe(true);
    await expect(told(self, () => writeFileSync(join(certs, 'b.crt'), 'one'))).resolves.toBe(true);
  });

  test('of a folder that is another one now', async () => {
    for (const name of ['blue', 'green']) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'a.crt'), name);
    }
    symlinkSync('blue', join(folder, 'certs'));
    const self = await watched([join(folder, 'certs')]);
    await expect(told(self, () => relink(join(folder, 'certs'), 'green'))).resolves.toBe(true);
  });

  test('where there are no events', async () => {
    const file = join(folder, 'a.crt');
    writeFileSync(file, 'one');
    const self = await watched([file], 20);
    // Not to be seen by a watch of the folder that the watched name is in.
    await expect(told(self, () => writeFileSync(file, 'other'))).resolves.toBe(true);
  });
});

describe('nothing is told', () => {
  test('of other files in the same folder', async () => {
    const file = join(folder, 'a.crt');
    writeFileSync(file, 'one');
    const self = await watched([file]);
    writeFileSync(join(folder, 'b.crt'), 'one');
    await self.watch.settled();
    expect(self.changes).toBe(0);
    await expect(told(self, () => writeFileSync(file, 'two'))).resolves.toBe(true);
  });

  test('of a loop of links, which is a file that is not there', async () => {
    const [one, two] = [join(folder, 'one'), join(folder, 'two')];
    symlinkSync(one, two);
    symlinkSync(two, one);
    const self = await watched([one]);
    unlinkSync(one);
    await expect(told(self, () => writeFileSync(one, 'at last'))).resolves.toBe(true);
  });

  test('of what is not watched any more, or after the end', async () => {
    const [one, two] = [join(folder, 'one'), join(folder, 'two')];
    const self = await watched([one]);
    self.watch.setPaths([two]);
    await self.watch.settled();
    writeFileSync(one, 'x');
    await self.watch.settled();
    expect(self.changes).toBe(0);
    self.watch.close();
    writeFileSync(two, 'x');
    await self.watch.settled();
    expect(self.changes).toBe(0);
  });
});
