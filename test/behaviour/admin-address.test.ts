/** Where the admin API listens, beside a port: on a unix socket, or nowhere. */
import { once } from 'node:events';
import { copyFileSync, existsSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import tls from 'node:tls';
import { expect, test } from 'vitest';
import { Authority } from '../support/authority.ts';
import { makeCertificate } from '../support/certificate.ts';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';

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

/** Of the certificate that a new connection gets. */
async function servedFingerprint(port: number): Promise<string> {
  const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.on('error', () => {});
  socket.destroy();
  return fingerprint256;
}

test('the admin API over TLS', async () => {
  const files = makeCertificate();
  const authority = new Authority();
  const client = authority.sign('operator.example');
  const folder = temporaryFolder();
  for (const [name, text] of Object.entries(client)) writeFileSync(join(folder, name), text);
  const config = { admin: { token: 'secret', tls: { ...files, client_ca_file: authority.file } } };
  const fairlead = await startFairlead({ config });
  const configFile = join(fairlead.cwd, 'fairlead.config.json');
  const shown = ['--cert', 'cert', '--key', 'key'];
  const run = (...args: string[]) => runFairlead(args, { cwd: folder });
  const port = String(fairlead.adminPort);
  // The harness has chosen the port, as FAIRLEAD_ADMIN_PORT says it again.
  const byConfig = await runFairlead(['status', '--config', configFile, ...shown], {
    cwd: folder,
    env: { FAIRLEAD_ADMIN_PORT: port },
  });
  expect(byConfig).toMatchObject({ code: 0, stderr: '' });
  const admin = ['--admin', `https://localhost:${port}`, '--token', 'secret'];
  const trusted = [...admin, '--cacert', files.cert_file];
  expect(await run('top', '--json', ...trusted, ...shown)).toMatchObject({ code: 0, stderr: '' });
  // Neither without our certificate, nor where theirs is not trusted, nor in the clear, nor without the token.
  expect(await run('status', ...trusted)).toMatchObject({ code: 1, stdout: '' });
  const distrusted = await run('status', ...admin, ...shown);
  expect(distrusted).toMatchObject({ code: 1, stdout: '' });
  expect(distrusted.stderr).toContain('self-signed certificate');
  await expect(fetch(`http://localhost:${port}/livez`)).rejects.toThrow('fetch failed');
  const [, where = ''] = admin;
  const nameless = await run('status', '--admin', where, '--cacert', files.cert_file, ...shown);
  expect(nameless.stderr).toContain('This call needs a token.');

  const before = await servedFingerprint(fairlead.adminPort);
  const renewed = makeCertificate();
  copyFileSync(renewed.key_file, files.key_file);
  copyFileSync(renewed.cert_file, files.cert_file);
  await waitFor(async () => (await servedFingerprint(fairlead.adminPort)) !== before);
  expect(await run('healthcheck', ...trusted, ...shown)).toMatchObject({ code: 0 });
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
