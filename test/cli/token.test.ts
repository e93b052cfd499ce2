import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('a token is made, lets its owner read, and is refused what takes an operator', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'tokens');
  const make = (...args: string[]) => runFairlead(['token', 'new', ...args], { cwd: folder });
  const made = await make('grafana', '--role', 'viewer', '--file', 'tokens');
  expect(made).toMatchObject({ code: 0, stderr: '' });
  const token = made.stdout.trim();
  expect(readFileSync(file, 'utf8')).toMatch(/^grafana viewer sha256:[0-9a-f]{64}\n$/);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(await make('grafana', '--role', 'viewer', '--file', 'tokens')).toMatchObject({
    code: 2,
    stdout: '',
    stderr: `fairlead token: ${file} has a token grafana already\n`,
  });
  expect((await make('a b', '--role', 'viewer')).stderr).toContain('a name is 1 to 64 letters');
  expect((await make('ci', '--role', 'root')).stderr).toContain(
    '--role must be one of viewer, operator',
  );
  expect((await make('ci', '--role', 'operator')).stdout).toMatch(
    /^fairlead_[\w-]{43}\nci operator sha256:[0-9a-f]{64}\n$/,
  );

  const config = { admin: { tokens_file: file } };
  const { adminUrl } = await startFairlead({ config });
  const run = (...args: string[]) =>
    runFairlead([...args, '--admin', adminUrl], { env: { FAIRLEAD_ADMIN_TOKEN: token } });
  expect(await run('status')).toMatchObject({ code: 0 });
  expect(await run('top', '--json')).toMatchObject({ code: 0 });
  const refused = await run('strategy', 'ip-hash');
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain('grafana is the token of a viewer');
  expect(refused.stderr).toContain('give the token of an operator with --token TOKEN');

  writeFileSync(join(folder, 'c.json'), JSON.stringify(config));
  chmodSync(file, 0o666);
  const warned = await runFairlead(['check', '--config', join(folder, 'c.json')]);
  expect(warned).toMatchObject({ code: 0 });
  expect(warned.stdout + warned.stderr).toContain(`chmod go-w ${file}`);
  writeFileSync(file, `\n${token}\n`);
  const malformed = await runFairlead(['check', '--config', join(folder, 'c.json')]);
  expect(malformed.code).toBe(2);
  expect(malformed.stderr).toContain(
    `${file}:2: admin.tokens_file: must be a name, a role and a hash`,
  );
  expect(malformed.stderr).not.toContain(token);
});
