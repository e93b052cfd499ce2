/**
 * The state file was a link to a place where nothing was yet. The first change put a file in the place of the link, and the
 * changes were gone with the container that it was in.
 */
import { lstat, mkdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DurableFile, resolveLinks } from '../../src/control/durable-file.ts';
import {
  clearStateFile,
  readStateFile,
  setAsideStateFile,
} from '../../src/control/state/state-file.ts';
import { backend } from '../control/fixtures.ts';
import { running } from '../control/running.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('it is written through, over several links, from whichever folder they lead', async () => {
  const at = temporaryFolder();
  await mkdir(join(at, 'volume'));
  await symlink('volume', join(at, 'data'));
  await symlink('data/inner.json', join(at, 'state.json'));
  await symlink('real.json', join(at, 'volume', 'inner.json'));
  const stateFile = join(at, 'state.json');
  const { call } = await running({ stateFile, backends: [backend('http://127.0.0.1:1')] });
  expect((await call('PATCH', '/backends/0', { weight: 3 })).status).toBe(200);
  expect(await readlink(stateFile)).toBe('data/inner.json');
  expect(await readlink(join(at, 'volume', 'inner.json'))).toBe('real.json');
  expect(JSON.parse(await readFile(join(at, 'volume', 'real.json'), 'utf8'))).toMatchObject({
    pools: { default: { configured: [{ weight: 3 }] } },
  });

  expect(await clearStateFile(stateFile)).toBe(true);
  expect(await readStateFile(stateFile)).toEqual({ kind: 'absent' });
  expect(await readlink(stateFile)).toBe('data/inner.json');
});

test('what it leads to is set aside when it is damaged, and the link stays', async () => {
  const at = temporaryFolder();
  await writeFile(join(at, 'real.json'), '{');
  await symlink('real.json', join(at, 'state.json'));
  const aside = await setAsideStateFile(join(at, 'state.json'), new Date(0));
  expect(aside).toBe(join(at, 'real.json.damaged-1970-01-01T00-00-00.000Z'));
  expect((await lstat(aside)).isFile()).toBe(true);
  expect(await readlink(join(at, 'state.json'))).toBe('real.json');
});

test('links that lead round in a circle, or to a folder that is not there, stay as they are', async () => {
  const at = temporaryFolder();
  await symlink('b', join(at, 'a'));
  await symlink('a', join(at, 'b'));
  await symlink('nowhere/state.json', join(at, 'c'));
  await expect(new DurableFile(join(at, 'a')).write('x', 0o666)).rejects.toThrow('ELOOP');
  await expect(new DurableFile(join(at, 'c')).write('x', 0o666)).rejects.toThrow('ENOENT');
  expect(await readlink(join(at, 'a'))).toBe('b');
  expect(await readlink(join(at, 'c'))).toBe('nowhere/state.json');
  expect(await resolveLinks(join(at, 'none'))).toBe(join(at, 'none'));
});
