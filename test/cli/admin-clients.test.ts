/** The commands that are clients of the admin API, against a running instance; and in processes of their own, as users run them. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { AdminClient } from '../../src/cli/admin/admin-client.ts';
import { adminTarget } from '../../src/cli/admin/admin-command.ts';
import { VERSION } from '../../src/control/version.ts';
import { afterTest } from '../support/after-test.ts';
import { runHere } from '../support/command-here.ts';
import { type Fairlead, runFairlead, startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawBackend } from '../support/raw-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { reusedFairlead } from '../support/reused-fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';

function commandOf({ adminUrl }: Pick<Fairlead, 'adminUrl'>, run: typeof runHere = runHere) {
  return (...args: string[]) => run([...args, '--admin', adminUrl]);
}

const fine = (stdout: string) => ({ code: 0, stdout: `${stdout}\n`, stderr: '' });
const refused = (stderr: string, code = 1) => ({ code, stdout: '', stderr: `${stderr}\n` });

test.each([
  'status',
  'healthcheck',
  'add',
  'remove',
  'drain',
  'enable',
  'disable',
  'weight',
  'strategy',
  'reload',
  'reset',
  'events',
  'top',
])('fairlead %s --help', async (command) => {
  const { code, stdout, stderr } = await runHere([command, '--help']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain(`Usage: fairlead ${command}`);
  expect(stdout).toContain('--admin URL');
});

test('the help of status says what its numbers count', async () => {
  const { stdout } = await runHere(['status', '--help']);
  expect(stdout).toMatch(/REQUESTS counts requests of clients.*ATTEMPTS FAILED counts attempts/s);
});

test('a change names the command and the user that made it', async () => {
  const { url } = await httpBackend();
  const fairlead = await startFairlead();
  expect((await commandOf(fairlead, runFairlead)('add', url)).code).toBe(0);
  const { actor } = await fairlead.waitForLog(({ event }) => event === 'backend.added');
  const { username } = userInfo();
  expect(actor).toEqual({ address: '127.0.0.1', agent: `fairlead/${VERSION} (${username})` });
});

test('an instance is managed from its start to its end', async () => {
  const { url } = await httpBackend();
  const fairlead = await startFairlead();
  const run = commandOf(fairlead);
  const runAlone = commandOf(fairlead, runFairlead);
  expect((await runAlone('status')).stdout).toMatch(
    /^round-robin, 0 of 0 backends alive, up \S+\nfairlead add URL adds a backend\n$/,
  );
  expect(await run('add', url, '--weight', '3')).toEqual(fine(`${url} is backend 0, healthy`));
  expect(await run('add', `${url.toUpperCase()}/`)).toEqual(
    refused(
      `error: ${url} is backend 0 already. (fairlead weight, enable, disable and drain change it)`,
    ),
  );
  const status = await run('status');
  const [, , head = '', row = '', ...more] = status.stdout.split('\n');
  expect(head).toMatch(/^ID {2}BACKEND +WEIGHT +ALIVE +STATE +HEALTH +IN FLIGHT +REQUESTS/);
  expect(row).toMatch(new RegExp(`^0   ${url} +3  yes +enabled  healthy +0 +0 +0 +- `));
  expect(more).toEqual(['']);
  expect(JSON.parse((await run('status', '--json')).stdout)).toMatchObject({
    strategy: 'round-robin',
    backends: [{ id: 0, url, weight: 3 }],
  });
  expect(await run('weight', url, '5')).toEqual(fine(`${url} (backend 0) has weight 5`));
  expect(await run('disable', '0')).toEqual(fine(`${url} (backend 0) is disabled`));
  expect(await run('enable', url)).toEqual(fine(`${url} (backend 0) is enabled`));
  expect(await run('strategy', 'least-conn')).toEqual(fine('the strategy is least-connections'));
  expect(await run('strategy')).toEqual(fine('the strategy is least-connections'));
  expect(await runAlone('drain', '0', '--deadline', '1h', '--wait')).toEqual({
    code: 0,
    stdout: `${url} (backend 0) is drained\n`,
    stderr: '',
  });
  expect(await run('drain', '0', '--json').then(({ stdout }) => JSON.parse(stdout))).toMatchObject({
    state: 'draining',
    drained: true,
  });
  const reloaded = await run('reload');
  expect(reloaded.stdout).toMatch(/^reloaded: no change\nset otherwise .*\n +strategy is least/);
  expect(await runAlone('healthcheck')).toEqual(fine('ready'));
  expect(await run('remove', '0')).toEqual(fine(`${url} (backend 0) is removed`));
  expect(await run('remove', '0')).toEqual(
    refused('error: There is no backend "0". (fairlead status lists them)'),
  );
  expect(await run('enable', url)).toEqual(
    refused(`error: There is no backend ${url}. (fairlead status lists them)`),
  );
});

test('what add is told goes to the API', async () => {
  const bodies: unknown[] = [];
  const { url } = await httpBackend((request, response) => {
    if (request.url === '/pools') return void response.end('[{"name":"default","routed":true}]');
    request.on('data', (body: Buffer) => bodies.push(JSON.parse(body.toString())));
    request.on('end', () => response.end('{"id":4,"url":"http://localhost:1","health":"unknown"}'));
  });
  const { stdout } = await runHere(['add', ':1', '--weight=2', '--backup', '--admin', url]);
  expect(bodies).toEqual([{ url: ':1', weight: 2, backup: true }]);
  expect(stdout).toBe('http://localhost:1 is backend 4, unknown\n');
});

test.each([
  [['add'], 'fairlead add: Which URL? For example: fairlead add http://:3001'],
  [['add', ':1', ':2'], 'fairlead add: Unexpected argument ":2"'],
  [
    ['add', ':1', '--weight', 'much'],
    'fairlead add: --weight must be a whole number from 0 to 1000, not "much"',
  ],
  [
    ['weight', '0'],
    'fairlead weight: Which backend, and what weight? For example: fairlead weight 0 3',
  ],
  [
    ['weight', '0', '1001'],
    'fairlead weight: The weight must be a whole number from 0 to 1000, not "1001"',
  ],
  [['drain'], 'fairlead drain: Which backend? For example: fairlead drain 0'],
  [
    ['drain', '0', '--deadline', '30'],
    'fairlead drain: --deadline: "30" is not a duration (add a unit: 30s or 30ms)',
  ],
  [['drain', '0', '--wiat'], `fairlead drain: Unknown option '--wiat' (did you mean "wait"?)`],
  [
    ['enable', 'web'],
    'fairlead enable: "web" is neither an id nor a URL: it has no scheme (write http://web)',
  ],
  [['status', '--admin', 'ftp://x'], 'fairlead status: "ftp://x" is not the URL of an admin API'],
  [['status', 'now'], 'fairlead status: Unexpected argument "now"'],
  [
    ['reload', '--config', 'none.yaml'],
    'fairlead reload: --config: cannot read none.yaml: no such file\n(with --admin URL, and --token TOKEN where it has one, the running instance is asked all the same)',
  ],
])('fairlead %j ends with 2', async (args, line) => {
  expect(await runHere(args)).toEqual(refused(line, 2));
});

test('what the API refuses as a value ends with 2, and shows its hint', async () => {
  const fairlead = await reusedFairlead({ config: {} });
  const run = commandOf(fairlead);
  const strategy = await run('strategy', 'round-robbin');
  expect(strategy).toMatchObject({ code: 2, stdout: '' });
  expect(strategy.stderr).toMatch(
    /^error: There is no strategy "round-robbin"; .* \(did you mean "round-robin"\?\)\n$/,
  );
  expect(await run('add', 'ftp://x')).toMatchObject({ code: 2 });
});

test('a refused reload shows every problem with its place', async () => {
  const fairlead = await reusedFairlead({ config: { backends: [':1'] } });
  await writeFile(join(fairlead.cwd, 'fairlead.config.json'), '{"prot": 1, "threads": 0}');
  const { code, stderr } = await commandOf(fairlead)('reload');
  expect(code).toBe(2);
  const [first, ...problems] = stderr.trimEnd().split('\n');
  expect(first).toMatch(/^error: /);
  expect(problems).toEqual([
    expect.stringMatching(/fairlead\.config\.json:1:2: prot: unknown key .*"port"/),
    expect.stringMatching(/fairlead\.config\.json:1:\d+: threads: /),
  ]);
});

describe('the instance', () => {
  test('that is not there is an error that names the address', async () => {
    const port = await freePort();
    const { code, stderr } = await runFairlead(['healthcheck', '--admin', `:${port}`]);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(
        `^error: no answer from the admin API at http://127\\.0\\.0\\.1:${port}: connect ECONNREFUSED.* \\(say where`,
      ),
    );
  });

  test('that a broken config would say where to find is not looked for without a word', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'fairlead.config.yaml'), 'admin_port: 49001\nbakends: []\n');
    const target = adminTarget({}, {}, folder);
    const url = `http://127.0.0.1:${await freePort()}`;
    await expect(new AdminClient({ ...target, url }).call('GET', '/status')).rejects.toThrow(
      'for the config here does not: fairlead.config.yaml:2:1: bakends: unknown key (did you mean "backends"?))',
    );
  });

  test('that is something else is an error, which says what to look at', async () => {
    const { url } = await httpBackend((request, response) => {
      if (request.url === '/readyz') response.writeHead(404);
      response.end('<p>Hello');
    });
    const where =
      '(is that where its clients come, or another program? say where the admin API is with --admin URL or --config FILE)';
    expect(await runHere(['status', '--admin', url])).toEqual(
      refused(`error: ${url} answers, but not like the admin API of Fairlead ${where}`),
    );
    const missing = await runHere(['healthcheck', '--admin', url]);
    expect([missing.code, missing.stderr]).toEqual([
      1,
      expect.stringContaining(`error: ${url} answers with 404, but not like the admin API`),
    ]);
    const ssh = await rawBackend(async (connection) => {
      await connection.write('SSH-2.0-OpenSSH_9.9\r\n');
      connection.end();
    });
    const address = ssh.url.slice('http://'.length);
    for (const [scheme, reason] of [
      ['http', 'what came back is no HTTP/1.1: is it another service that listens there?'],
      ['https', 'what came back is no TLS: is it http:// that is spoken there?'],
    ]) {
      const { code, stderr } = await runHere(['status', '--admin', `${scheme}://${address}`]);
      expect([code, stderr]).toEqual([
        1,
        expect.stringContaining(`${scheme}://${address}: ${reason} (say where`),
      ]);
    }
  });

  test('is found by variable, by the config given, and by the config of the folder', async () => {
    const fairlead = await reusedFairlead({ config: {} });
    const { adminUrl, adminPort } = fairlead;
    const cwd = temporaryFolder('admin');
    await writeFile(join(cwd, 'other.yaml'), `admin_port: ${adminPort}\n`);
    const env = { FAIRLEAD_ADMIN_URL: adminUrl };
    expect(await runFairlead(['healthcheck'], { env })).toEqual(fine('ready'));
    // A flag wins over the environment.
    const wrong = { FAIRLEAD_ADMIN_URL: 'http://127.0.0.1:1' };
    for (const more of [
      ['--config', 'other.yaml'],
      ['--admin', adminUrl],
    ]) {
      expect(await runHere(['healthcheck', ...more], { cwd, env: wrong })).toEqual(fine('ready'));
    }
    await writeFile(join(cwd, 'config.json'), `{"admin_port": ${adminPort}}`);
    expect(await runHere(['healthcheck'], { cwd })).toEqual(fine('ready'));
    // The variable is no part of the config, and no mistake either.
    expect(await runHere(['check'], { env })).toMatchObject({
      code: 0,
      stderr: 'note: there are no backends\n',
    });
  });

  test('with a token is asked with it: flag, variable, config', async () => {
    const fairlead = await startFairlead({ config: { admin: { token: 'open-sesame' } } });
    const { adminUrl, cwd } = fairlead;
    const config = join(cwd, 'fairlead.config.json');
    const status = (args: string[], env: Record<string, string> = {}) =>
      runHere(['status', '--json', '--admin', adminUrl, ...args], { env });
    expect(await status([])).toEqual(
      refused(
        'error: This call needs a token. (give it with --token TOKEN, FAIRLEAD_ADMIN_TOKEN or --config FILE)',
      ),
    );
    expect(await status(['--token', 'sesame'])).toMatchObject({ code: 1 });
    expect(await status(['--token', 'open-sesame'])).toMatchObject({ code: 0 });
    expect(await status([], { FAIRLEAD_ADMIN_TOKEN: 'open-sesame' })).toMatchObject({ code: 0 });
    expect(await status(['--config', config])).toMatchObject({ code: 0 });
  });

  test('that a config nobody named is for does not give its token to another address', async () => {
    const seen: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.setHeader('Content-Type', 'application/json').end('{"status":"ready"}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    afterTest(() => void server.close());
    const cwd = temporaryFolder('admin');
    await writeFile(join(cwd, 'config.json'), '{"admin": {"token": "secret"}}');
    const { port } = server.address() as AddressInfo;
    await runHere(['healthcheck', '--admin', `127.0.0.1:${port}`], { cwd });
    expect(seen).toEqual([undefined]);
  });

  test('that ends is not ready', async () => {
    const backend = await httpBackend((_request, response) => void response.flushHeaders());
    const fairlead = await startFairlead({ args: [backend.url] });
    // A request that never ends keeps it from being gone; one whose response is forgotten is called off.
    const endless = await waitFor(async () => {
      const response = await fetch(fairlead.url);
      return response.status === 200 ? response : undefined;
    });
    process.kill(fairlead.pid, 'SIGTERM');
    await fairlead.waitForLog(({ event }) => event === 'stopping');
    expect(await commandOf(fairlead)('healthcheck')).toEqual(refused('error: Fairlead is ending.'));
    await endless.body?.cancel();
  });
});

async function withWebSocket(runner = runHere) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const fairlead = await reusedFairlead({
    config: { backends: [url], health_check_method: 'tcp' },
  });
  const socket = new WebSocket(`ws://127.0.0.1:${fairlead.port}/`);
  afterTest(() => {
    socket.terminate();
    for (const client of server.clients) client.terminate();
    server.close();
  });
  await once(socket, 'open');
  const id = String(fairlead.firstId);
  return { url, id, fairlead, socket, run: commandOf(fairlead, runner) };
}

describe('--wait', () => {
  test('returns when a drain is done, with nothing but the result where nobody looks', async () => {
    const { url, id, socket, run } = await withWebSocket();
    const closed = once(socket, 'close');
    expect(await run('drain', url, '--deadline', '2s', '--wait')).toEqual(
      fine(`${url} (backend ${id}) is drained`),
    );
    expect((await closed)[0]).toBe(1001);
  });

  test.each([
    ['drain', '--deadline', 'cut 1 WebSocket'],
    ['remove', '--drain', 'cut 1 WebSocket; it is removed'],
  ])('of %s says how many the deadline cut', async (command, flag, said) => {
    // In the middle of a frame, the client can't be told.
    const { url } = await rawBackend(async (connection) => {
      await connection.readHead();
      await connection.write(
        'HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x82\x7d',
      );
      await connection.closed;
      connection.end();
    });
    const fairlead = await reusedFairlead({
      config: { backends: [url], health_check_method: 'tcp' },
    });
    const id = String(fairlead.firstId);
    const client = await rawClient(fairlead.port);
    await client.write(
      'GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    await client.readUntil('\r\n\r\n');
    const { code, stdout, stderr } = await commandOf(fairlead)(command, id, flag, '1s', '--wait');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.trimEnd().split('\n').at(-1)).toBe(
      `error: ${url} (backend ${id}) is drained, but the deadline ${said}`,
    );
  });

  test('returns when a removal is done', async () => {
    const { url, id, run } = await withWebSocket();
    expect(await run('remove', id, '--drain', '1s', '--wait')).toMatchObject({
      code: 0,
      stdout: `${url} (backend ${id}) is removed\n`,
    });
    expect((await run('status', '--json')).stdout).toContain('"total_backends": 0');
  });

  test('ends when the drain is called off', async () => {
    // Two at a time.
    const { url, id, fairlead, run } = await withWebSocket(runFairlead);
    const waiting = run('drain', id, '--deadline', '1h', '--wait');
    await waitFor(async () =>
      (await (await fetch(`${fairlead.adminUrl}/backends/${id}`)).text()).includes('"draining"'),
    );
    await run('enable', id);
    const { code, stderr } = await waiting;
    expect(code).toBe(1);
    expect(stderr).toContain(
      `error: ${url} (backend ${id}) is enabled: the drain was called off\n`,
    );
  });
});
