/** Where the admin API listens, beside a port: on a unix socket, or nowhere. */
import { existsSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

function statusOver(
  socketPath: string,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = http.get({ socketPath, path: '/status', headers, agent: false }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode ?? 0));
    });
    request.once('error', reject);
  });
}

test('the admin API on a unix socket', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'admin.sock');
  const { url } = await httpBackend();
  const config = { backends: [url], admin: { unix: file } };
  const first = await startFairlead({ config });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  await expect(fetch(first.adminUrl)).rejects.toThrow('fetch failed');
  expect(await statusOver(file, {})).toBe(200);
  expect(await statusOver(file, { Host: 'whatever' })).toBe(200);
  expect(await statusOver(file, { Origin: 'http://evil.example' })).toBe(403);

  const run = (...args: string[]) => runFairlead([...args, '--admin', `unix:${file}`]);
  expect((await run('strategy', 'ip-hash')).stdout).toContain('ip-hash');
  const changed = await first.waitForLog(({ event }) => event === 'strategy.changed');
  expect(changed).toMatchObject({ actor: { address: 'unix' } });
  // The config says where it is as well.
  const configFile = join(first.cwd, 'fairlead.config.json');
  const top = await runFairlead(['top', '--json', '--config', configFile]);
  expect(top).toMatchObject({ code: 0, stderr: '' });
  const nobody = await runFairlead(['status', '--admin', 'unix:nothing.sock'], { cwd: folder });
  expect(nobody).toMatchObject({ code: 1, stdout: '' });
  expect(nobody.stderr).toContain(
    `no answer from the admin API at unix:${folder}/nothing.sock: connect ENOENT`,
  );

  await first.kill();
  expect(existsSync(file)).toBe(true);
  const second = await startFairlead({ config });
  expect((await run('healthcheck')).code).toBe(0);
  await second.stop();
  expect(existsSync(file)).toBe(false);
});

test('no admin API', async () => {
  const { url } = await httpBackend();
  const fairlead = await startFairlead({ args: [url, '--admin', 'off'] });
  expect((await fetch(fairlead.url)).status).toBe(200);
  await expect(fetch(`${fairlead.adminUrl}/livez`)).rejects.toThrow('fetch failed');
  expect(fairlead.logs().find(({ event }) => event === 'listening')?.msg).not.toContain('admin');
  const config = join(temporaryFolder(), 'c.json');
  writeFileSync(config, JSON.stringify({ admin: false, port: 9000 }));
  const check = await runFairlead(['check', '--config', config]);
  expect(check).toMatchObject({ code: 0 });
  expect(check.stdout).toContain('no admin API');
  const status = await runFairlead(['status', '--config', config]);
  expect(status).toMatchObject({ code: 2, stdout: '' });
  expect(status.stderr).toContain('this config has no admin API (admin: false)');
  const on = await runFairlead(['--admin', 'on']);
  expect(on).toMatchObject({ code: 2 });
  expect(on.stderr).toContain('--admin takes off');
});
