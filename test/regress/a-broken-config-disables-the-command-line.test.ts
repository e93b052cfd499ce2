/**
 * With `--config FILE` and something wrong in that file, every command that asks a running instance ended with the problems of the file, although
 * `--admin URL` said where it is: in the night in which a config is broken, nobody could drain a backend.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { adminTarget } from '../../src/cli/admin/admin-command.ts';
import { runHere } from '../support/command-here.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const URL = 'http://127.0.0.1:9100';

function folderWith(text: string): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'f.yaml'), text);
  return folder;
}

test.each([
  ['admin: { token: sesame }\nbakends: []\n', 'sesame'],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it stands so in the file.
  ['admin: { token: "${NIGHT_TOKEN}" }\nbakends: ["${NOT_SET}"]\n', 'from the environment'],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it stands so in the file.
  ['admin: { token: "${NOT_SET}" }\n', undefined],
  ['admin: { token: 12 }\n', undefined],
  ['admin: false\nbakends: []\n', undefined],
  ['admin: { token: sesame\n', undefined],
])('the token of %j is %j', (text, token) => {
  const env = { NIGHT_TOKEN: 'from the environment' };
  const target = adminTarget({ admin: URL, config: 'f.yaml' }, env, folderWith(text));
  expect(target).toMatchObject({ url: URL, token });
  expect(target.tokenUnread === undefined).toBe(token !== undefined);
});

test('a token that is given is enough', () => {
  const flags = { admin: URL, token: 'own', config: 'none.yaml' };
  expect(adminTarget(flags, {}, temporaryFolder())).toEqual({ url: URL, token: 'own' });
});

test('the commands ask with it, and where there is none say why', async () => {
  const { url } = await httpBackend(({ headers }, response) => {
    const isKnown = headers.authorization === 'Bearer sesame';
    response.writeHead(isKnown ? 200 : 401);
    const problem = { code: 'ERR_UNAUTHORIZED', detail: 'This call needs a token.' };
    response.end(JSON.stringify(isKnown ? { status: 'ready' } : problem));
  });
  const ask = (text: string) =>
    runHere(['healthcheck', '--config', 'f.yaml', '--admin', url], { cwd: folderWith(text) });
  expect(await ask('admin: { token: sesame }\nbakends: []\n')).toMatchObject({ code: 0 });
  const { code, stderr } = await ask('bakends: []\n');
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^error: This call needs a token\. .*\nthe config gives none: f\.yaml:1:1/,
  );
});

test('without an address, they say what is wrong, and what goes without the file', async () => {
  const cwd = folderWith('bakends: []\n');
  const { code, stderr } = await runHere(['healthcheck', '--config', 'f.yaml'], { cwd });
  expect(code).toBe(2);
  expect(stderr).toMatch(/f\.yaml:1:1: bakends: unknown key.*\n\(with --admin URL, /);
});
