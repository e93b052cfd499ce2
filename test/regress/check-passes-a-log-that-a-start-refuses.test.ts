/** `fairlead check` said ok of an access log in a folder that is missing, and the start after it ended with 1. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runHere } from '../support/command-here.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

function checkWith(...lines: readonly string[]) {
  const cwd = temporaryFolder();
  mkdirSync(join(cwd, 'folder'));
  writeFileSync(join(cwd, 'letter'), '');
  const text = ['backends: [http://127.0.0.1:1]', ...lines, ''].join('\n');
  writeFileSync(join(cwd, 'c.yaml'), text);
  return { cwd, checked: runHere(['check', '--config', 'c.yaml'], { cwd }) };
}

test('it names the key, and what is wrong', async () => {
  for (const [file, reason] of [
    ['none/access.log', 'ENOENT'],
    ['folder', 'EISDIR'],
    ['letter/access.log', 'EACCES|ENOTDIR'],
  ] as const) {
    const { cwd, checked } = checkWith('state_file: false', `access_log: ./${file}`);
    const { code, stdout, stderr } = await checked;
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(
      new RegExp(`^c\\.yaml:3: access_log: ${join(cwd, file)} can't be opened: (${reason}): `),
    );
  }
});

test('it makes nothing where all is well', async () => {
  const { cwd, checked } = checkWith('access_log: ./folder/access.log');
  expect(await checked).toMatchObject({ code: 0, stderr: '' });
  expect(existsSync(join(cwd, 'folder/access.log'))).toBe(false);
});

test('a state file that can not be written is a note, as the start goes on without it', async () => {
  const { code, stderr } = await checkWith('state_file: ./none/state.json').checked;
  expect([code, stderr]).toEqual([
    0,
    expect.stringMatching(/^note: state_file: .*none\/state\.json can't be written \(ENOENT: /),
  ]);
});
