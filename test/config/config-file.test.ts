import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { loadSettings } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { afterTest } from '../support/after-test.ts';

/** Loads in a folder of its own with these files. */
function loadIn(
  files: Readonly<Record<string, string>>,
  { config, env = {} }: { config?: string; env?: Record<string, string> } = {},
) {
  const cwd = mkdtempSync(path.join(tmpdir(), 'fairlead-config-'));
  afterTest(() => rm(cwd, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(cwd, name)), { recursive: true });
    writeFileSync(path.join(cwd, name), text);
  }
  const flags = { values: [], ...(config === undefined ? {} : { config }) };
  const result = loadSettings({ flags, env, cwd });
  return { cwd, result, problems: result.ok ? [] : result.problems.map(formatProblem) };
}

test('without any file the defaults hold, and nothing is kept', () => {
  expect(loadIn({}).result).toMatchObject({
    ok: true,
    settings: {
      listeners: [{ address: { port: 8080 } }],
      pools: [{ backends: [] }],
      configFile: undefined,
      stateFile: undefined,
    },
  });
});

test.each([
  [{ 'fairlead.config.json': '{"port":1}', 'fairlead.config.yaml': 'port: 2' }, 1],
  [{ 'fairlead.config.yaml': 'port: 2', 'fairlead.config.yml': 'port: 3' }, 2],
  [{ 'fairlead.config.yml': 'port: 3', 'config.json': '{"port":4,"backends":[]}' }, 3],
  [{ 'config.json': '{"port":4,"backends":[]}' }, 4],
])('%j: port %i', (files, port) => {
  const { result } = loadIn(files as Record<string, string>);
  expect(result).toMatchObject({ ok: true, settings: { listeners: [{ address: { port } }] } });
});

test('a file that is passed over is told of', () => {
  const files = { 'fairlead.config.yaml': '', 'fairlead.config.yml': '' };
  expect(loadIn(files).result).toMatchObject({
    notes: ['fairlead.config.yml is not read: fairlead.config.yaml comes first'],
  });
});

test('--config wins over FAIRLEAD_CONFIG, that over what lies about', () => {
  const files = { 'a.yaml': 'port: 1', 'b.yaml': 'port: 2', 'config.json': '{"port":3}' };
  const env = { FAIRLEAD_CONFIG: 'b.yaml' };
  const portOf = (choice: Parameters<typeof loadIn>[1]): unknown => {
    const { result } = loadIn(files, choice);
    return result.ok && result.settings.listeners[0].address;
  };
  expect(portOf({ config: 'a.yaml', env })).toMatchObject({ port: 1 });
  expect(portOf({ env })).toMatchObject({ port: 2 });
});

test('paths are relative to the file, those of the environment to the working folder', () => {
  const files = { 'etc/f.yaml': 'access_log: logs/a.log' };
  const { cwd, result } = loadIn(files, { config: 'etc/f.yaml' });
  expect(result).toMatchObject({
    settings: {
      configFile: path.join(cwd, 'etc/f.yaml'),
      stateFile: path.join(cwd, 'etc/fairlead.state.json'),
      accessLog: { target: { file: path.join(cwd, 'etc/logs/a.log') } },
    },
  });
  const env = { FAIRLEAD_ACCESS_LOG: 'b.log', FAIRLEAD_STATE_FILE: 's.json' };
  const other = loadIn(files, { config: 'etc/f.yaml', env });
  expect(other.result).toMatchObject({
    settings: {
      stateFile: path.join(other.cwd, 's.json'),
      accessLog: { target: { file: path.join(other.cwd, 'b.log') } },
    },
  });
});

test('state_file: false keeps nothing', () => {
  expect(loadIn({ 'config.json': '{"state_file":false}' }).result).toMatchObject({
    settings: { stateFile: undefined },
  });
});

test.each([
  [{}, { config: 'none.yaml' }, '--config: cannot read none.yaml: no such file'],
  [
    {},
    { env: { FAIRLEAD_CONFIG: 'none.yaml' } },
    'FAIRLEAD_CONFIG: cannot read none.yaml: no such file',
  ],
  [{ 'd/x': '' }, { config: 'd' }, '--config: cannot read d: it is a folder'],
  [{ 'e/x.yml': 'a: 1' }, { config: 'e/x.yml' }, 'e/x.yml:1:1: a: unknown key'],
])('%j with %j', (files, around, problem) => {
  expect(loadIn(files as Record<string, string>, around).problems).toEqual([problem]);
});
