/** `fairlead` itself, as far as the command line decides: what it starts with, and how it ends when it cannot. */
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';

interface ConfigAnswer {
  readonly config: Readonly<Record<string, unknown>>;
  readonly origins: Readonly<Record<string, string>>;
}

async function configOf(adminUrl: string): Promise<ConfigAnswer> {
  const response = await fetch(`${adminUrl}/config`);
  expect(response.status).toBe(200);
  return (await response.json()) as ConfigAnswer;
}

test('starts with nothing at all, and ends cleanly', async () => {
  const fairlead = await startFairlead();
  expect((await configOf(fairlead.adminUrl)).config).toMatchObject({
    backends: [],
    state_file: false,
  });
  expect(await fairlead.stop('SIGINT')).toBe(0);
});

test('flags, environment and file arrive together', async () => {
  const fairlead = await startFairlead({
    args: ['--strategy=least-conn', '--no-access-log'],
    env: { HEALTH_CHECK_INTERVAL: '7s' },
    config: {
      backends: ['http://:1', { url: 'http://:2', backup: true }],
      sticky_session_ttl: '1h',
    },
  });
  const { config, origins } = await configOf(fairlead.adminUrl);
  expect(config).toMatchObject({
    strategy: 'least-connections',
    access_log: false,
    health_check_frequency: '7s',
    backends: ['http://localhost:1', { url: 'http://localhost:2', weight: 1, backup: true }],
  });
  expect(origins).toMatchObject({
    'backends.1.backup': expect.stringMatching(/^file \S+fairlead\.config\.json:\d+$/) as string,
    strategy: 'flag --strategy',
    health_check_frequency: 'environment HEALTH_CHECK_INTERVAL',
  });
  // What is no error but worth knowing is in the log.
  await fairlead.waitForLog(({ event }) => event === 'config.note');
});

test('a reload reads the same sources again; what it refuses changes nothing', async () => {
  const fairlead = await startFairlead({ config: { backends: [':1'] } });
  const file = join(fairlead.cwd, 'fairlead.config.json');
  const reload = async (text: string): Promise<number> => {
    await writeFile(file, text);
    return (await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status;
  };
  expect(await reload('{"backends": [":1", ":2"]}')).toBeLessThan(300);
  const backends = ['http://localhost:1', 'http://localhost:2'];
  expect((await configOf(fairlead.adminUrl)).config).toMatchObject({ backends });
  expect(await reload('{"backends": [":1", ":1"]}')).toBeGreaterThanOrEqual(400);
  expect(await reload('{"backends": [], "threads": 7}')).toBeGreaterThanOrEqual(400);
  expect((await configOf(fairlead.adminUrl)).config).toMatchObject({ backends, threads: 'auto' });
});

test('a posted config is judged as the file would be', async () => {
  const fairlead = await startFairlead();
  const validate = async (type: string, body: string): Promise<string> => {
    const response = await fetch(`${fairlead.adminUrl}/config:validate`, {
      method: 'POST',
      headers: { 'Content-Type': type },
      body,
    });
    return response.text();
  };
  expect(await validate('application/yaml', 'prot: 1 # a comment')).toContain('did you mean');
  expect(await validate('application/json', '{"log_level": "debug",}')).toContain(
    'no comma before',
  );
});

test.each(['--port', '--admin-port'])(
  'an address in use: %s ends with 3 and names it',
  async (flag) => {
    const port = await freePort();
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(port, flag === '--port' ? '::' : '127.0.0.1', resolve);
    });
    afterTest(() => new Promise<void>((resolve) => void server.close(() => resolve())));
    const other = flag === '--port' ? '--admin-port' : '--port';
    const args = [flag, String(port), other, String(await freePort())];
    const { code, stderr } = await runFairlead(args);
    expect(code).toBe(3);
    expect(stderr).toContain(String(port));
    expect(stderr).not.toContain('    at ');
  },
);
