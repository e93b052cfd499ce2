/**
 * A container had its state file mounted by itself. Such a file can't be renamed over: every change was answered with
 * 500, and nothing had said so at the start.
 */
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { DurableFile } from '../../src/control/durable-file.ts';
import { clearStateFile, readStateFile } from '../../src/control/state/state-file.ts';
import { backend } from '../control/fixtures.ts';
import { running } from '../control/running.ts';
import { afterTest } from '../support/after-test.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';

const MOUNTED = 'mounted.json';

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: said the test`), { code });
}

/** As Linux has it: what is mounted can be neither replaced nor moved nor removed. */
function mount(code = 'EBUSY'): void {
  const { rename, rm } = fs;
  fs.rename = async (from, to) => {
    if ([from, to].some((path) => String(path).endsWith(MOUNTED))) throw systemError(code);
    return rename(from, to);
  };
  fs.rm = async (path, options) => {
    if (String(path).endsWith(MOUNTED)) throw systemError(code);
    return rm(path, options);
  };
  syncBuiltinESMExports();
  afterTest(() => {
    Object.assign(fs, { rename, rm });
    syncBuiltinESMExports();
  });
}

/** The next `sync` of a file that ends so fails, once its bytes are written. */
async function failOnce(path: string, code: string): Promise<void> {
  const file = await fs.open(path);
  const prototype = Object.getPrototypeOf(file) as typeof file;
  await file.close();
  const { truncate } = prototype;
  prototype.truncate = async () => {
    prototype.truncate = truncate;
    throw systemError(code);
  };
  afterTest(() => {
    prototype.truncate = truncate;
  });
}

let path: string;
beforeEach(async () => {
  path = join(temporaryFolder(), MOUNTED);
});

test.each(['EBUSY', 'EXDEV'])('it is written in place, and the start says so: %s', async (code) => {
  mount(code);
  await fs.writeFile(path, '');
  const { ino } = await fs.stat(path);
  const backends = [backend('http://127.0.0.1:1')];
  const { call, log, fairlead } = await running({ stateFile: path, backends });
  const line = await waitFor(async () =>
    (await log()).split('\n').find((entry) => entry.includes('state_file.in_place')),
  );
  expect(JSON.parse(line)).toMatchObject({ level: 'warn', file: path, copy: `${path}.copy` });
  expect(await log()).not.toContain('damaged');
  expect((await call('PUT', '/backends/0/status', { alive: false })).status).toBe(200);
  expect((await fs.stat(path)).ino).toBe(ino);
  expect(await fs.readFile(`${path}.copy`, 'utf8')).toBe(await fs.readFile(path, 'utf8'));
  fairlead.kill();
  await fairlead.exited;

  const second = await running({ stateFile: path, backends });
  expect((await second.call('GET', '/backends/0')).json).toMatchObject({ state: 'disabled' });
  second.fairlead.kill();
  await second.fairlead.exited;

  expect(await clearStateFile(path)).toBe(true);
  expect(await readStateFile(path)).toMatchObject({ kind: 'read', state: { nextId: 0 } });
});

test('a write that was cut short is made good by the copy, and what was torn is kept', async () => {
  mount();
  await fs.writeFile(path, '{"version":1,"next_');
  const state = {
    version: 1,
    next_id: 1,
    configured: [{ url: 'http://127.0.0.1:1', id: 0, weight: 7 }],
  };
  await fs.writeFile(`${path}.copy`, JSON.stringify(state));
  const backends = [backend('http://127.0.0.1:1')];
  const { call, log } = await running({ stateFile: path, backends });
  expect((await call('GET', '/backends/0')).json).toMatchObject({ weight: 7 });
  const line = await waitFor(async () =>
    (await log()).split('\n').find((entry) => entry.includes('state_file.damaged')),
  );
  const { used, kept_as: kept } = JSON.parse(line) as { used: string; kept_as: string };
  expect(used).toBe(`${path}.copy`);
  expect(await fs.readFile(kept, 'utf8')).toBe('{"version":1,"next_');
  expect(await readStateFile(path)).toMatchObject({ kind: 'read', state: { nextId: 1 } });
});

test('a damaged one is copied aside, and a change can be kept', async () => {
  mount();
  await fs.writeFile(path, 'nonsense');
  const backends = [backend('http://127.0.0.1:1')];
  const { call } = await running({ stateFile: path, backends });
  expect((await call('PATCH', '/backends/0', { weight: 3 })).status).toBe(200);
  const names = await fs.readdir(join(path, '..'));
  const aside = names.find((name) => name.includes('.damaged-')) ?? '';
  expect(await fs.readFile(join(path, '..', aside), 'utf8')).toBe('nonsense');
  expect(await readStateFile(path)).toMatchObject({ kind: 'read' });
});

describe('a file in place', () => {
  test('has its old text again when the new one can not be written', async () => {
    mount();
    await fs.writeFile(path, 'the old text');
    const file = new DurableFile(path);
    await failOnce(path, 'ENOSPC');
    await expect(file.write('something new that is longer', 0o666)).rejects.toThrow('ENOSPC');
    expect(await fs.readFile(path, 'utf8')).toBe('the old text');
    expect(await fs.readdir(join(path, '..'))).toEqual([MOUNTED]);
    await file.write('new', 0o600);
    expect(await fs.readFile(path, 'utf8')).toBe('new');
    expect((await fs.stat(path)).mode & 0o777).toBe(0o600);
  });
});

test('the start says that the file can not be written', async () => {
  path = join(temporaryFolder(), 'gone', 'state.json');
  const { log } = await running({ stateFile: path });
  const line = await waitFor(async () =>
    (await log()).split('\n').find((entry) => entry.includes('state_file.not_writable')),
  );
  expect(JSON.parse(line)).toMatchObject({ level: 'warn', file: path });
});
