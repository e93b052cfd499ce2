/** What commands print for programs: docs/command-line.md tells the shapes. Some as users run them, most without a process of their own. */
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { parsePasswordHash } from '../../src/config/values/password-hash.ts';
import { codeRows, readPage } from '../docs/markdown.ts';
import { runHere } from '../support/command-here.ts';
import { COMMAND, type Fairlead, runFairlead, startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';

/** They print nothing that `--json` could be about. */
const WITHOUT = new Map([
  ['run', 'its log is JSON wherever standard output is no terminal'],
  ['completion', 'a script for a shell'],
]);

/** The answer of a command that is fine, with nothing else on either stream. */
async function answerOf(
  args: readonly string[],
  cwd?: string,
  command: typeof runHere = runHere,
): Promise<Record<string, unknown>> {
  const run = await command(args, cwd === undefined ? {} : { cwd });
  expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(run.stdout) as Record<string, unknown>;
}

test('every command has --json, or prints nothing that it could be about; and the shapes are told', async () => {
  const documented = new Set(
    codeRows(readPage('docs/command-line.md')).flatMap(([names = '']) => names.split(', ')),
  );
  for (const [name, { load }] of Object.entries(COMMANDS)) {
    const { spec } = await load();
    expect([name, Object.hasOwn(spec.flags, 'json')]).toEqual([name, !WITHOUT.has(name)]);
    expect([name, documented.has(name)]).toEqual([name, !WITHOUT.has(name)]);
  }
});

test('check: every problem with its place, and the exit code as without', async () => {
  const cwd = temporaryFolder('json');
  await writeFile(join(cwd, 'c.yaml'), 'prot: 1\nbackends: [":1"]\n');
  const run = await runFairlead(['check', '--config', 'c.yaml', '--threads=0', '--json'], { cwd });
  expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 2, stderr: '' });
  expect(JSON.parse(run.stdout)).toEqual({
    ok: false,
    config_file: null,
    problems: [
      {
        origin: 'file',
        file: 'c.yaml',
        line: 1,
        column: 1,
        path: 'prot',
        message: 'unknown key',
        hint: 'did you mean "port"?',
      },
      { origin: 'flag', name: '--threads', path: 'threads', message: expect.any(String) },
    ],
    notes: [],
  });
});

test('check: a config that is fine, its notes, and what it would change', async () => {
  const cwd = temporaryFolder('json');
  await writeFile(join(cwd, 'a.yaml'), 'port: 81\nbackends: []\n');
  await writeFile(join(cwd, 'b.yaml'), 'port: 82\nbackends: []\n');
  const fine = { ok: true, config_file: join(cwd, 'a.yaml'), problems: [] };
  expect(await answerOf(['check', '--config', 'a.yaml', '--json'], cwd, runFairlead)).toEqual({
    ...fine,
    notes: ['there are no backends'],
  });
  const diff = await answerOf(['check', '--config', 'a.yaml', '--diff=b.yaml', '--json'], cwd);
  expect(diff).toMatchObject({
    ...fine,
    beside: 'b.yaml',
    difference: {
      changed: true,
      changes: [{ path: 'port', change: 'changed', before: 82, after: 81 }],
      needs_restart: [],
    },
  });
});

test('check --diff of what runs', async () => {
  const fairlead = await startFairlead({ config: { strategy: 'ip-hash' } });
  const { cwd, adminUrl } = fairlead;
  await writeFile(join(cwd, 'next.json'), '{"strategy": "random-two"}');
  const args = ['check', '--config', 'next.json', '--diff', '--admin', adminUrl, '--json'];
  expect(await answerOf(args, cwd)).toMatchObject({
    ok: true,
    beside: adminUrl,
    difference: { changes: [{ path: 'strategy', before: 'ip-hash', after: 'random-two' }] },
  });
});

test('state: what is kept, and that it is cleared', async () => {
  const cwd = temporaryFolder('json');
  const file = join(cwd, 'fairlead.state.json');
  await writeFile(join(cwd, 'config.json'), '{"backends": [":1", ":2"]}');
  const state = {
    version: 1,
    next_id: 3,
    strategy: 'least-connections',
    added: [{ url: 'http://localhost:9', id: 2, weight: 4 }],
    configured: [
      { url: 'http://localhost:1', id: 0, state: 'disabled' },
      { url: 'http://localhost:2', id: 1 },
    ],
  };
  await writeFile(file, JSON.stringify(state));
  const unchanged = { added: false, removed: false, weight: null, backup: null, state: null };
  const answer = await answerOf(['state', 'show', '--json'], cwd);
  const [pool] = answer['pools'] as [{ readonly backends: readonly { readonly id: number }[] }];
  expect(answer).toEqual({
    file,
    changes: 3,
    pools: [{ name: 'default', strategy: 'least-connections', backends: expect.any(Array) }],
    faults: [],
  });
  expect(pool.backends.toSorted((a, b) => a.id - b.id)).toEqual([
    { ...unchanged, url: 'http://localhost:1', id: 0, state: 'disabled' },
    { ...unchanged, url: 'http://localhost:9', id: 2, added: true, weight: 4, backup: false },
  ]);
  const clear = ['state', 'clear', '--json'];
  expect(await answerOf(clear, cwd)).toEqual({ file, cleared: true });
  expect(await answerOf(clear, cwd)).toEqual({ file, cleared: false });
  const nothing = { file: null, changes: 0, pools: [], faults: [] };
  expect(await answerOf(['state', 'show', '--json'])).toEqual(nothing);
});

test('hash-password', () => {
  const run = spawnSync(process.execPath, [COMMAND, 'hash-password', '--json'], {
    input: 'secret\n',
    encoding: 'utf8',
  });
  const { hash } = JSON.parse(run.stdout) as { readonly hash: string };
  expect(parsePasswordHash(hash).ok).toBe(true);
});

test('cert dev', async () => {
  const cwd = temporaryFolder('json');
  const folder = join(cwd, 'authority');
  const args = ['cert', 'dev', 'shop.test', '*.shop.test', '--authority', folder, '--json'];
  const answer = {
    names: ['shop.test', '*.shop.test'],
    days: 825,
    cert_file: join(cwd, 'shop.test.crt'),
    key_file: join(cwd, 'shop.test.key'),
  };
  const file = join(folder, 'ca.crt');
  expect(await answerOf(args, cwd)).toEqual({ ...answer, authority: { file, is_new: true } });
  expect(await answerOf(args, cwd)).toEqual({ ...answer, authority: { file, is_new: false } });
});

test('demo: one line with all addresses, and no guide', async () => {
  const first = String(Math.min(await freePort(), 65_000));
  const demo: Fairlead = await startFairlead({ args: ['demo', '--json', '--backend-port', first] });
  const ready = await waitFor(() => demo.logs().find(({ event }) => event === 'demo.ready'));
  const { backends } = ready as unknown as { backends: { name: string; url: string }[] };
  expect(ready).toMatchObject({
    url: `http://localhost:${demo.port}`,
    admin_url: `http://localhost:${demo.adminPort}`,
  });
  expect(backends.map(({ name }) => name)).toEqual(['backend-1', 'backend-2', 'backend-3']);
  for (const { url } of backends) expect((await fetch(`${url}/health`)).status).toBe(200);
  const lines = demo.output().trimEnd().split('\n');
  expect(lines.filter((line) => !line.startsWith('{'))).toEqual([]);
});

test('commands of a running instance print what its API answers', async () => {
  const { url } = await httpBackend();
  const { adminUrl } = await startFairlead({ args: [url] });
  const ask = (...args: readonly string[]) => answerOf([...args, '--admin', adminUrl, '--json']);
  const status = ['status', '--admin', adminUrl, '--json'];
  for (const run of [runFairlead, runHere]) {
    expect(await answerOf(status, undefined, run)).toMatchObject({
      total_backends: 1,
      backends: [{ id: 0, url }],
    });
  }
  expect(await ask('top')).toMatchObject({ pools: [{ backends: [{ id: 0, url }] }] });
  expect(await ask('healthcheck')).toEqual(await (await fetch(`${adminUrl}/readyz`)).json());
  expect(await ask('explain', 'http://shop.test/')).toMatchObject({ pool: { name: 'default' } });
  expect(await ask('weight', '0', '3')).toMatchObject({ id: 0, weight: 3 });
  expect(await ask('reset')).toMatchObject({ dropped: [{ value: 'weight' }] });
  expect(await ask('drain', '0')).toMatchObject({ id: 0, state: 'draining' });
  expect(await ask('enable', '0')).toMatchObject({ id: 0, state: 'enabled' });
  expect(await ask('disable', '0')).toMatchObject({ id: 0, state: 'disabled' });
  expect(await ask('strategy')).toMatchObject({ strategy: 'round-robin' });
  expect(await ask('add', 'http://127.0.0.1:1')).toMatchObject({ id: 1 });
  expect(await ask('remove', '1')).toMatchObject({ id: 1 });
});
