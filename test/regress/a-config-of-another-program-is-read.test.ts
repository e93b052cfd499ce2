/**
 * `fairlead http://:3001` in the folder of a program that has a `config.json` of its own read that file: without a word
 * where it held a port, with an error about its keys otherwise.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadSettings } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import type { Settings } from '../../src/config/settings.ts';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = temporaryFolder('config');
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

async function load(text: string, backends: readonly string[] = [], config?: false) {
  const cwd = await folderWith({ 'config.json': text });
  const values =
    backends.length === 0 ? [] : [{ name: 'command line', path: ['backends'], value: backends }];
  const result = loadSettings({
    flags: { values, ...(config !== undefined && { config }) },
    env: {},
    cwd,
  });
  return result.ok
    ? { port: portOf(result.settings), notes: result.notes }
    : { problems: result.problems.map(formatProblem) };
}

function portOf({ listeners: [{ address }] }: Settings): number | undefined {
  return address.kind === 'tcp' ? address.port : undefined;
}

const FOREIGN =
  'config.json is not read: it has no key of a Fairlead config beside "port", so it is another program\'s (--config config.json reads it)';

test.each([
  '{"port": 3001}',
  '{"port": 3001, "database": {"backends": []}}',
  '{"name": "shop"}',
  '{}',
  '["backends"]',
  '{"name": "shop",',
  '',
])("%j is another program's", async (text) => {
  expect(await load(text)).toEqual({ port: 8080, notes: [FOREIGN] });
});

test('one key of ours makes it ours, with all that is wrong in it', async () => {
  expect(await load('{"port": 81, "log_level": "info"}')).toEqual({ port: 81, notes: [] });
  expect(await load('{"prot": 81, "backends": []}')).toEqual({
    problems: ['config.json:1:2: prot: unknown key (did you mean "port"?)'],
  });
  // A slip in a file of ours must not start a proxy without backends.
  expect(await load('{"backends": [":1",}')).toEqual({
    problems: [expect.stringMatching(/^config\.json:1:/)],
  });
});

test('with backends on the command line it is never read', async () => {
  const note =
    'config.json is not read: backends are given on the command line (--config config.json reads it)';
  expect(await load('{"port": 81, "log_level": "info"}', [':3001'])).toEqual({
    port: 8080,
    notes: [note],
  });
});

test('--no-config reads none, and says nothing of it', async () => {
  expect(await load('{"port": 81, "log_level": "info"}', [], false)).toEqual({
    port: 8080,
    notes: [],
  });
});

test('which file it is comes first in the log', async () => {
  const cwd = await folderWith({ 'config.json': '{"port": 3001}' });
  const bare = await startFairlead({ args: ['http://:3001'], cwd });
  expect(bare.logs().slice(0, 2)).toMatchObject([
    { event: 'config.file', msg: 'no config file is used' },
    { event: 'config.note' },
  ]);
  const own = await startFairlead({ config: { backends: [] } });
  const file = join(own.cwd, 'fairlead.config.json');
  expect(own.logs()[0]).toMatchObject({ event: 'config.file', file });
  expect(own.logs()[0]?.msg).toBe(`the config file is ${file}`);
});

test.each([
  [
    ['--config', 'a.yaml', '--config=b.yaml'],
    'fairlead run: --config is given twice (a.yaml, b.yaml); a config is one file',
  ],
  [
    ['--config', 'a.yaml', '--no-config'],
    'fairlead run: --config and --no-config contradict each other',
  ],
  [
    ['status', '--config', 'a.yaml', '--config', 'b.yaml'],
    'fairlead status: --config is given twice; a config is one file',
  ],
])('%j', async (args, message) => {
  const { code, stderr } = await runFairlead(args);
  expect({ code, stderr }).toEqual({ code: 2, stderr: `${message}\n` });
});
