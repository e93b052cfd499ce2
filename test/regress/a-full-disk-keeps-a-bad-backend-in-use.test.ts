/**
 * The disk was full when a backend answered rubbish and had to be disabled: the change could not be saved, so it was not made,
 * and there was no way to say that it need not be saved.
 */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { backend, settings } from '../control/fixtures.ts';
import { loaded, type Running, running } from '../control/running.ts';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';

const ONE = 'http://127.0.0.1:1';
const TWO = 'http://127.0.0.1:2';
const THREE = 'http://127.0.0.1:3';

async function restarted(the: Running, stateFile: string): Promise<Running> {
  the.fairlead.kill();
  await the.fairlead.exited;
  return running({ stateFile, backends: [backend(ONE), backend(TWO)] });
}

function idsOf(list: readonly { readonly id: number; readonly url: string }[]): object {
  return Object.fromEntries(list.map(({ id, url }) => [url, id]));
}

async function stage(): Promise<{ the: Running; stateFile: string }> {
  const stateFile = join(temporaryFolder(), 'folder', 'state.json');
  await mkdir(join(stateFile, '..'));
  const the = await running({ stateFile, backends: [backend(ONE), backend(TWO)] });
  return { the, stateFile };
}

test('a change that can not be saved is made all the same, where that is asked for', async () => {
  const { the, stateFile } = await stage();
  await rm(join(stateFile, '..'), { recursive: true });
  const refused = await the.call('PUT', '/backends/0/status', { alive: false });
  expect(refused.json).toMatchObject({
    code: 'ERR_STATE_NOT_SAVED',
    hint: expect.stringContaining('?persist=false'),
  });
  for (const [method, path, body, expected] of [
    ['PUT', '/backends/0/status', { alive: false }, { state: 'disabled' }],
    ['PATCH', '/backends/1', { weight: 4 }, { weight: 4 }],
    ['POST', '/backends', { url: THREE }, { url: THREE }],
    ['PATCH', '/backends/2', { state: 'draining' }, { state: 'draining' }],
    ['PUT', '/strategy', { strategy: 'random-two' }, { strategy: 'random-two' }],
    ['POST', '/strategy', { strategy: 'peak-ewma' }, { strategy: 'peak-ewma' }],
    ['DELETE', '/backends', { url: THREE }, { url: THREE }],
    ['DELETE', '/backends/1', undefined, { id: 1 }],
  ] as const) {
    const { status, json } = await the.call(method, `${path}?persist=false`, body);
    // What was added and is removed is after a restart as it is now: not there.
    const fate = path === '/backends' && method === 'DELETE' ? {} : { kept: false };
    expect([method, path, status >= 200 && status < 300, json]).toEqual([
      method,
      path,
      true,
      expect.objectContaining({ ...expected, ...fate }),
    ]);
  }
  expect((await the.call('GET', '/backends/0')).json).toMatchObject({
    state: 'disabled',
    kept: false,
  });
  expect((await the.call('GET', '/strategy')).json).toMatchObject({ kept: false });
  const line = await waitFor(async () =>
    (await the.log()).split('\n').find((entry) => entry.includes('backend.updated')),
  );
  expect(JSON.parse(line)).toMatchObject({ kept: false });
});

describe('what is not kept', () => {
  test('is not written by what is kept later', async () => {
    const { the, stateFile } = await stage();
    await the.call('PUT', '/backends/0/status?persist=false', { alive: false });
    await the.call('PUT', '/strategy?persist=false', { strategy: 'random-two' });
    await the.call('POST', '/backends?persist=false', { url: THREE });
    expect((await the.call('PATCH', '/backends/0', { weight: 9 })).json).toMatchObject({
      state: 'disabled',
      weight: 9,
      kept: false,
    });
    // Of what is gone after a restart, nothing can be kept.
    expect((await the.call('PATCH', '/backends/2', { weight: 5 })).json).toMatchObject({
      weight: 5,
      kept: false,
    });
    const file = JSON.parse(await readFile(stateFile, 'utf8')) as object;
    expect(file).toMatchObject({
      pools: { default: { added: [], configured: [{ url: ONE, weight: 9 }, { url: TWO }] } },
    });
    expect(JSON.stringify(file)).not.toMatch(/disabled|random-two|127\.0\.0\.1:3/);

    const again = await restarted(the, stateFile);
    expect((await again.call('GET', '/status')).json).toMatchObject({
      strategy: 'round-robin',
      backends: [
        { id: 0, url: ONE, state: 'enabled', weight: 9 },
        { id: 1, url: TWO },
      ],
    });
  });

  test('is kept once that is asked for, also where it is so already', async () => {
    const { the, stateFile } = await stage();
    await the.call('PUT', '/backends/0/status?persist=false', { alive: false });
    const { json } = await the.call('PUT', '/backends/0/status?persist=true', { alive: false });
    expect(json).toMatchObject({ state: 'disabled' });
    expect(json).not.toHaveProperty('kept');
    const again = await restarted(the, stateFile);
    expect((await again.call('GET', '/backends/0')).json).toMatchObject({ state: 'disabled' });
  });

  test('hides what is kept, and a restart brings that back', async () => {
    const { the, stateFile } = await stage();
    await the.call('PUT', '/backends/0/status', { alive: false });
    await the.call('POST', '/backends', { url: THREE, weight: 2 });
    const enabled = await the.call('PUT', '/backends/0/status?persist=false', { alive: true });
    expect(enabled.json).toMatchObject({ state: 'enabled', kept: false });
    await the.call('DELETE', '/backends/2?persist=false');
    // A removal that waits for a drain is not kept either when it comes.
    expect((await the.call('DELETE', '/backends/1?drain=30s&persist=false')).status).toBe(202);
    await waitFor(async () => (await the.call('GET', '/backends/1')).status === 404);
    await the.call('PATCH', '/backends/0', { weight: 3 });
    const again = await restarted(the, stateFile);
    expect((await again.call('GET', '/backends')).json).toMatchObject([
      { id: 0, state: 'disabled', weight: 3 },
      { id: 1, state: 'enabled' },
      { id: 2, url: THREE, weight: 2 },
    ]);
  });

  test('outlives a reload, with ids that stand for one backend each', async () => {
    const { the, stateFile } = await stage();
    await the.call('POST', '/backends?persist=false', { url: THREE });
    await the.call('PUT', '/backends/0/status?persist=false', { alive: false });
    const four = 'http://127.0.0.1:4';
    the.next = loaded(
      settings({ stateFile, backends: [ONE, TWO, four, THREE].map((url) => backend(url)) }),
    );
    expect((await the.call('POST', '/reload')).status).toBe(200);
    await the.call('PATCH', '/backends/1', { weight: 2 });
    const shown = (await the.call('GET', '/backends')).json as { id: number; url: string }[];
    expect(shown).toMatchObject([
      { id: 0, url: ONE, state: 'disabled', kept: false },
      { id: 1, url: TWO, weight: 2 },
      { id: 2, url: THREE },
      { id: 3, url: four },
    ]);
    const { pools } = JSON.parse(await readFile(stateFile, 'utf8')) as {
      pools: { default: { configured: { id: number; url: string }[] } };
    };
    expect(idsOf(pools.default.configured)).toEqual(idsOf(shown));
  });
});

test('persist is true or false', async () => {
  const { the } = await stage();
  const answer = await the.call('PUT', '/backends/0/status?persist=no', { alive: false });
  expect(answer.json).toMatchObject({ status: 422, code: 'ERR_INVALID_VALUE' });
  expect((await the.call('GET', '/backends/0')).json).toMatchObject({ state: 'enabled' });
});

test('the command line says it with --not-kept, and is told that it is not', async () => {
  const { port } = await httpBackend();
  const fairlead = await startFairlead({ config: { backends: [`http://127.0.0.1:${port}`] } });
  const run = (...args: string[]) =>
    runFairlead([...args, '--not-kept', '--admin', fairlead.adminUrl]);
  const told = expect.objectContaining({
    code: 0,
    stdout: expect.stringContaining('(not kept: the next start knows nothing of it)'),
  }) as unknown;
  const runs = await Promise.all([
    run('weight', '0', '4'),
    run('disable', '0'),
    run('strategy', 'random-two'),
    run('add', THREE),
    run('drain', '0', '--deadline', '1s'),
  ]);
  expect(runs).toEqual(runs.map(() => told));
  expect(await run('remove', '0', '--drain', '1s', '--wait')).toEqual(told);
  await expect(readFile(join(fairlead.cwd, 'fairlead.state.json'))).rejects.toThrow('ENOENT');
});
