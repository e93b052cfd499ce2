/**
 * Two instances were started with one state file. A third of the changes were answered with 500, and of the others the last
 * one to be written won: nobody had said that there were two. And the changes that `fairlead state clear` had dropped
 * beside a running instance were back with the next one.
 */
import { readdir, readFile, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lockStateFile } from '../../src/control/state/state-lock.ts';
import { type Fairlead, runFairlead, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

async function weigh(fairlead: Fairlead, weight: number): Promise<number> {
  const body = JSON.stringify({ weight });
  const response = await fetch(`${fairlead.adminUrl}/backends/0`, { method: 'PATCH', body });
  await response.arrayBuffer();
  return response.status;
}

async function weightOf(fairlead: Fairlead): Promise<unknown> {
  const response = await fetch(`${fairlead.adminUrl}/backends/0`);
  return ((await response.json()) as { weight: number }).weight;
}

test('the second one says so, and runs without writing; one that was killed leaves no lock', async () => {
  const cwd = temporaryFolder();
  const stateFile = join(cwd, 'state.json');
  const { port } = await httpBackend();
  const options = { args: [`http://127.0.0.1:${port}`], env: { FAIRLEAD_STATE_FILE: stateFile } };
  const first = await startFairlead(options);
  expect(await weigh(first, 5)).toBe(200);

  const second = await startFairlead(options);
  expect(second.logs()).toContainEqual(
    expect.objectContaining({ event: 'state_file.in_use', level: 'error', file: stateFile }),
  );
  // What is in force in the one is in force in the other: a backend that is disabled is not enabled by a second start.
  expect(await weightOf(second)).toBe(5);
  const weights = Array.from({ length: 30 }, (_, index) => index + 10);
  const statuses = await Promise.all(
    weights.flatMap((weight) => [weigh(first, weight), weigh(second, 1000 - weight)]),
  );
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(await weigh(first, 7)).toBe(200);
  expect(await weigh(second, 8)).toBe(200);
  expect(JSON.parse(await readFile(stateFile, 'utf8'))).toMatchObject({
    pools: { default: { configured: [{ weight: 7 }] } },
  });
  await second.stop();

  await first.kill();
  const third = await startFairlead(options);
  expect(third.logs().map(({ event }) => event)).not.toContain('state_file.in_use');
  expect(await weightOf(third)).toBe(7);
  expect(await weigh(third, 9)).toBe(200);
  expect(await third.stop()).toBe(0);
  expect(await readdir(cwd)).toEqual(['state.json']);
  expect(JSON.parse(await readFile(stateFile, 'utf8'))).toMatchObject({
    pools: { default: { configured: [{ weight: 9 }] } },
  });
});

test('state clear does nothing while an instance runs, and says so', async () => {
  const { port } = await httpBackend();
  const config = { backends: [`http://127.0.0.1:${port}`] };
  const fairlead = await startFairlead({ config });
  expect(await weigh(fairlead, 5)).toBe(200);
  const { cwd } = fairlead;
  const clear = () => runFairlead(['state', 'clear', '--config', 'fairlead.config.json'], { cwd });
  const refused = await clear();
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain('is in use by a running Fairlead');
  expect(await weigh(fairlead, 6)).toBe(200);
  await fairlead.stop();
  expect(await clear()).toMatchObject({ code: 0, stdout: expect.stringContaining('cleared') });
  expect(await readdir(cwd)).toEqual(['fairlead.config.json']);
});

/** As a process leaves it that is killed. */
async function leaveDead(path: string): Promise<void> {
  const lock = await lockStateFile(path);
  if (lock.kind !== 'held') throw new Error(lock.kind);
  await rename(`${path}.lock`, `${path}.moved`);
  await lock.release();
  await rename(`${path}.moved`, `${path}.lock`);
}

test('of many who want the lock one gets it, also over one that was left behind', async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'state.json');
  for (let round = 0; round < 10; round++) {
    await leaveDead(path);
    const locks = await Promise.all(Array.from({ length: 20 }, () => lockStateFile(path)));
    const held = locks.filter((lock) => lock.kind === 'held');
    for (const lock of held) await lock.release();
    expect(held).toHaveLength(1);
    expect(locks.filter(({ kind }) => kind === 'in-use')).toHaveLength(19);
    expect(await readdir(folder)).toEqual([]);
  }
});

test('who is killed while it clears a dead lock away blocks nobody', async () => {
  const path = join(temporaryFolder(), 'state.json');
  await leaveDead(path);
  await writeFile(`${path}.lock.cleaning`, '');
  const longAgo = new Date(Date.now() - 60_000);
  await utimes(`${path}.lock.cleaning`, longAgo, longAgo);
  const lock = await lockStateFile(path);
  expect(lock.kind).toBe('held');
  if (lock.kind === 'held') await lock.release();
});

test('what is no lock is left alone; without a folder there is none', async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'state.json');
  await writeFile(`${path}.lock`, 'a file of somebody');
  const lock = await lockStateFile(path);
  if (lock.kind === 'held') await lock.release();
  expect(await readFile(`${path}.lock`, 'utf8')).toBe('a file of somebody');
  expect(await readdir(folder)).toEqual(['state.json.lock']);
  expect(await lockStateFile(join(folder, 'gone', 'state.json'))).toMatchObject({
    kind: 'impossible',
  });
});

test('where the path is too long for a socket, Linux has names that are no files', async () => {
  const path = join(temporaryFolder(), `${'x'.repeat(150)}.json`);
  const isLinux = process.platform === 'linux';
  const first = await lockStateFile(path);
  expect(first.kind).toBe(isLinux ? 'held' : 'impossible');
  expect((await lockStateFile(path)).kind).toBe(isLinux ? 'in-use' : 'impossible');
  if (first.kind === 'held') await first.release();
  const second = await lockStateFile(path);
  expect(second.kind).toBe(first.kind);
  if (second.kind === 'held') await second.release();
});
