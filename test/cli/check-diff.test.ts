/** `fairlead check --diff` and `POST /config:validate`: what a file would change, before it does. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const TOKEN = 'a-token-of-the-admin-api';

const BEFORE = `strategy: ip-hash
state_file: false
admin: { token: ${TOKEN} }
backends: ["http://127.0.0.1:1"]
pools: { api: { backends: ["http://127.0.0.1:2"] } }
routes: [{ path: /v1/, pool: api }]
`;
const AFTER = BEFORE.replace('ip-hash', 'random-two')
  .replace('["http://127.0.0.1:1"]', '["http://127.0.0.1:1", "http://127.0.0.1:3"]')
  .replace('["http://127.0.0.1:2"]', '[{ url: "http://127.0.0.1:2", weight: 7 }]')
  .replace('/v1/', '/v2/');

const CHANGES = `  ~ strategy: ip-hash → random-two
  + backends[http://127.0.0.1:3]
  ~ pools.api.backends[http://127.0.0.1:2].weight: 1 → 7
  - routes[*/v1]
  + routes[*/v2]
`;

async function files(): Promise<{ readonly folder: string; readonly file: (n: string) => string }> {
  const folder = temporaryFolder();
  const file = (name: string): string => join(folder, name);
  await writeFile(file('before.yaml'), BEFORE);
  await writeFile(file('after.yaml'), AFTER);
  return { folder, file };
}

test('beside another file', async () => {
  const { file } = await files();
  const diff = (config: string, other: string) =>
    runFairlead(['check', '--config', file(config), `--diff=${file(other)}`]);
  const { code, stdout } = await diff('after.yaml', 'before.yaml');
  expect(stdout.slice(stdout.indexOf('\n') + 1)).toBe(
    `changes beside ${file('before.yaml')}:\n${CHANGES}`,
  );
  expect(code).toBe(0);
  await writeFile(file('same.yaml'), BEFORE);
  expect((await diff('same.yaml', 'before.yaml')).stdout).toContain('no change beside');
  await writeFile(file('wrong.yaml'), 'porrt: 1');
  const wrong = await diff('after.yaml', 'wrong.yaml');
  expect(wrong).toMatchObject({ code: 2 });
  expect(wrong.stderr).toContain('wrong.yaml:1:1: porrt: unknown key');
});

test('of the running instance, with its own flags, and nothing is changed', async () => {
  const { file } = await files();
  const fairlead = await startFairlead({ args: ['--config', file('before.yaml')] });
  const { adminUrl } = fairlead;
  const diff = (config: string, ...args: string[]) =>
    runFairlead(['check', '--config', file(config), '--diff', '--admin', adminUrl, ...args]);
  expect(await diff('after.yaml')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`changes beside ${adminUrl}:\n${CHANGES}`) as unknown,
  });
  // Its port comes from a flag there: what the file says of it is void.
  await writeFile(file('port.yaml'), `${BEFORE}port: 5\nthreads: 9\n`);
  expect((await diff('port.yaml')).stdout).toContain(
    `:\n  ~ threads: auto → 9\na restart is needed: threads\n`,
  );
  await writeFile(
    file('none.yaml'),
    `state_file: false\nadmin: { token: ${TOKEN} }\nroutes: [{ path: /, pool: api }]\npools: { api: { strategy: ip-hash } }\n`,
  );
  const none = await diff('none.yaml');
  expect(none.stdout).toContain('  - backends: ["http://127.0.0.1:1"]\n');
  expect(none.stderr).toContain('a reload would be refused:');
  expect((await diff('before.yaml')).stdout).toContain(`no change beside ${adminUrl}`);
  expect(await diff('before.yaml', '--token', 'another-token-than-that')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('token') as unknown,
  });
  expect((await fetch(`${adminUrl}/livez`)).status).toBe(200);
  const { generation } = await call(`${adminUrl}/status`);
  expect(generation).toBe(1);
});

test('the admin API answers it in parts', async () => {
  const { file } = await files();
  const { adminUrl } = await startFairlead({ args: ['--config', file('before.yaml')] });
  const answer = await call(`${adminUrl}/config:validate`, `${AFTER}log_level: debug\n`);
  expect(answer).toMatchObject({ valid: true, changed: true, changes_left_out: 0 });
  expect(answer).toMatchObject({ needs_restart: [], refused: [], overrides: [], notes: [] });
  expect(answer['changes']).toHaveLength(6);
  const many = Array.from({ length: 1_200 }, (_, index) => `"http://127.0.0.2:${index + 1}"`);
  const long = await call(
    `${adminUrl}/config:validate`,
    BEFORE.replace('"http://127.0.0.1:1"', many.join(',')),
  );
  expect(long['changes']).toHaveLength(1_000);
  expect(long['changes_left_out']).toBe(201);
});

test.each([
  [['--diff', '--no-config'], 'there is no config file to compare'],
  [['--admin', 'http://127.0.0.1:1', ':1'], '--admin and --token go with --diff'],
  [['--diff='], '--diff needs a value'],
])('check %j is refused', async (args, message) => {
  const { code, stderr } = await runFairlead(['check', ...args]);
  expect(stderr).toContain(message);
  expect(code).toBe(2);
});

async function call(url: string, body?: string): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${TOKEN}` },
    ...(body !== undefined && { method: 'POST', body }),
  });
  return (await response.json()) as Record<string, unknown>;
}
