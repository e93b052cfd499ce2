import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { runFairlead, startFairlead } from './fairlead.ts';
import { freePort } from './free-port.ts';
import { httpBackend } from './http-backend.ts';

test('starts the proxy at free ports, in a folder of its own', async () => {
  const backend = await httpBackend();
  const fairlead = await startFairlead({ config: { backends: [backend.url] } });
  const status = await (await fetch(`${fairlead.adminUrl}/status`)).json();
  expect(status).toMatchObject({ backends: [{ url: backend.url }] });
  expect(existsSync(fairlead.cwd)).toBe(true);
  const up = await fairlead.waitForLog(({ event }) => event === 'backend.up');
  expect(up.msg).toContain(backend.url);
  expect(await fairlead.stop()).toBe(0);
  expect(fairlead.logs().at(-1)).toMatchObject({ event: 'stopped' });
});

test('a log line that does not come is an error that shows the log', async () => {
  const fairlead = await startFairlead();
  await expect(fairlead.waitForLog(() => false, 50)).rejects.toThrow('"event":"listening"');
});

test('a start that fails is an error that shows the output', async () => {
  await expect(startFairlead({ args: ['--strategy', 'luck'] })).rejects.toThrow(/\(2\):\n.*luck/);
});

test('ports that a test has chosen are not replaced by others', async () => {
  const { port } = await httpBackend(undefined, { host: '0.0.0.0' });
  const adminPort = await freePort();
  const args = ['--port', String(port), '--admin-port', String(adminPort)];
  await expect(startFairlead({ args, ports: { port, adminPort } })).rejects.toThrow(/\(3\):\n/);
});

test('a command that ends by itself gives its code and its output', async () => {
  const run = await runFairlead(['--version']);
  expect(run).toMatchObject({ code: 0, stderr: '' });
  expect(run.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('variables of this machine do not reach the proxy', async () => {
  process.env['FAIRLEAD_STRATEGY'] = 'luck';
  try {
    expect(await runFairlead(['check'])).toMatchObject({ code: 0 });
    const env = { FAIRLEAD_STRATEGY: 'chance' };
    expect((await runFairlead(['check'], { env })).stderr).toContain('chance');
  } finally {
    delete process.env['FAIRLEAD_STRATEGY'];
  }
});
