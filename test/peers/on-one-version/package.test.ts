/** What the package is to those who install it: its exports, its types, and programs of their own that have it beside them. */
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Server as SocketServer } from 'socket.io';
import { io as connect } from 'socket.io-client';
import { beforeAll, expect, test, vi } from 'vitest';
import type { Proxy } from '../../../src/index.ts';
import { codeBlocks, readPage } from '../../docs/markdown.ts';
import { afterTest } from '../../support/after-test.ts';
import { httpBackend } from '../../support/http-backend.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const NODE = process.env['FAIRLEAD_TEST_NODE'] ?? process.execPath;
const TOOLS = join(ROOT, 'node_modules');

const NEIGHBOURS = [
  'zod',
  'pino',
  'express',
  'fastify',
  '@types/node',
  '@types/express',
  'undici-types',
];

/** A project that has installed it. */
let project = '';
let tarball = '';

function run(
  command: string,
  args: readonly string[],
  cwd: string = project,
): SpawnSyncReturns<string> {
  return spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 60_000 });
}

beforeAll(() => {
  project = temporaryFolder('project');
  const packed = run(
    'npm',
    ['pack', '--ignore-scripts', '--silent', '--pack-destination', project],
    ROOT,
  );
  tarball = join(project, packed.stdout.trim());
  const modules = join(project, 'node_modules');
  mkdirSync(join(modules, '@types'), { recursive: true });
  run('tar', ['-xzf', tarball, '-C', modules]);
  renameSync(join(modules, 'package'), join(modules, 'fairlead'));
  for (const name of NEIGHBOURS) {
    symlinkSync(join(TOOLS, name), join(modules, name));
  }
  writeFileSync(join(project, 'package.json'), JSON.stringify({ type: 'module', private: true }));
});

test('publint has nothing to say', () => {
  const { status, stdout } = run(NODE, [join(TOOLS, 'publint/src/cli.js'), tarball, '--strict']);
  expect([status, stdout]).toEqual([0, expect.stringContaining('All good!')]);
});

test('its types are found wherever modules of ES are', () => {
  const attw = join(TOOLS, '@arethetypeswrong/cli/dist/index.js');
  const { status, stdout } = run(NODE, [attw, tarball, '--profile', 'esm-only', '--no-emoji']);
  expect({ status, stdout }).toMatchObject({ status: 0 });
});

const TEN_LINES = `import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createProxy } from 'fairlead';

const backend = createServer((_request, response) => void response.end('hello')).listen(0);
const { port } = backend.address() as AddressInfo;
await using proxy = createProxy({ port: 0, admin: false, strategy: 'least-connections', threads: 'auto' });
await proxy.listen();
await proxy.pools.default.add(\`http://localhost:\${port}\`, { weight: 2 });
console.log(await (await fetch(proxy.url)).text(), proxy.port > 0);
await proxy.close();
backend.close();
`;

const WRONG = `import { createProxy, defineConfig } from 'fairlead';
defineConfig({ strategi: 'random' });
defineConfig({ strategy: 'least' });
defineConfig({ port: 8080, timeouts: { conect: '1s' } });
defineConfig({ pools: { api: { backends: ['http://localhost:1'], strategy: 'fastest' } } });
createProxy({ admin: true });
createProxy({ threads: 'many' });
createProxy({ routes: [{ path: '/', pol: 'default' }] });
createProxy({}).on('backend.dwon', () => {});
createProxy({}, { pick: async (_request, candidates) => candidates[0] });
createProxy({ port: 0, admin: false, threads: 0, backends: [{ url: 'http://localhost:1', weight: 2 }] });
`;

/** What the examples leave to the reader is what the test has put here. */
const AROUND = `import { createProxy as create, type ProxyConfig } from 'fairlead';
const { config, key, urls, homeOf } = globalThis as unknown as Around;
const [firstUrl = '', secondUrl = ''] = urls;
interface Around {
  readonly config: ProxyConfig;
  readonly key: string;
  readonly urls: string[];
  homeOf(tenant: string | undefined): number;
}
interface Listening {
  address(): object | string | null;
}
function urlOf(server: Listening): string {
  return \`http://localhost:\${(server.address() as { readonly port: number }).port}\`;
}
`;

const BLOCKS = codeBlocks(readPage('docs/library.md'))
  .filter(({ language }) => language === 'ts')
  .map(({ code }) => code);

/** The one that has `mark` in it, with ports that the system gives. */
function example(mark: string, kept: string): string {
  const [code = '', ...others] = BLOCKS.filter((block) => block.includes(mark));
  expect([code === '', others]).toEqual([false, []]);
  const servers = code.includes('servers') ? 'servers.map(urlOf)' : 'urls';
  const own = code
    .replace("['http://localhost:3001', 'http://localhost:3002']", servers)
    .replaceAll("'http://localhost:3001'", 'urlOf(app.server)')
    .replaceAll(/\b300[12]\b/g, '0')
    .replace('port: 8080', 'port: 0, admin_port: 0');
  const isWhole = own.includes("from 'fairlead'");
  return `${AROUND}${isWhole ? own : own.replaceAll('createProxy', 'create')}\n${kept}\n`;
}

const EXAMPLES = {
  'first.ts': example('console.log', 'export { proxy };'),
  'functions.ts': example('pick({ headers }', 'export { proxy };'),
  'config.ts': BLOCKS.find((block) => block.includes('defineConfig')) ?? '',
  'express.ts': example("from 'express'", 'export { proxy, servers };'),
  'fastify.ts': example("from 'fastify'", 'export { proxy, app };'),
  'next.ts': example('/api/health', 'export { proxy };'),
  'socket-io.ts': example('socket.io', 'export { proxy };'),
  'in-a-test.ts': example("from 'node:test'", ''),
};

const COMPILER_OPTIONS = {
  target: 'es2022',
  lib: ['es2022', 'esnext.disposable', 'dom'],
  module: 'nodenext',
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
};

/** File and line of what the compiler says, with the libraries looked at as well; its output stands beside each file. */
function complaints(sources: Readonly<Record<string, string>>): string[] {
  const files = Object.keys(sources);
  for (const file of files) writeFileSync(join(project, file), sources[file] ?? '');
  const options = { compilerOptions: COMPILER_OPTIONS, files };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(options));
  const { stdout } = run(NODE, [join(TOOLS, 'typescript/bin/tsc'), '-p', project]);
  return stdout
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith(' '))
    .map((line) => /^[\w./-]+\(\d+/.exec(line)?.[0] ?? line);
}

test('a wrong key, strategy or event is an error of types, and the examples of the docs are none', () => {
  const said = complaints({ 'ten-lines.ts': TEN_LINES, 'wrong.ts': WRONG, ...EXAMPLES });
  expect(said).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10].map((line) => `wrong.ts(${line}`));
});

test('ten lines with types serve, and end by themselves', () => {
  const { status, stdout, stderr } = run(NODE, ['ten-lines.js']);
  expect([status, stdout, stderr]).toEqual([0, 'hello true\n', '']);
});

test('the examples of the docs are all tried', () => {
  expect(BLOCKS).toHaveLength(Object.keys(EXAMPLES).length);
});

/** What the example gives, once it has run with this around it; its proxy is closed after the test. */
async function ran<T extends object = object>(
  name: string,
  around: object = {},
): Promise<T & { readonly proxy: Proxy }> {
  Object.assign(globalThis, { urls: [], ...around });
  const { href } = pathToFileURL(join(project, `${name}.js`));
  const made = (await import(href)) as T & { readonly proxy: Proxy };
  afterTest(() => made.proxy.close({ within: '1s' }));
  return made;
}

async function named(...names: readonly string[]): Promise<string[]> {
  const started = names.map((name) => httpBackend((_request, response) => response.end(name)));
  return (await Promise.all(started)).map(({ url }) => url);
}

async function textOf(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  return (await fetch(url, { headers })).text();
}

test('the first example serves', async () => {
  const said = vi.spyOn(console, 'log').mockReturnValue();
  const { proxy } = await ran('first', { urls: await named('one', 'one') });
  expect(said).toHaveBeenCalledWith(`listening on ${proxy.url}`);
  said.mockRestore();
  expect(await textOf(proxy.url)).toBe('one');
});

test('the example of functions refuses and chooses', async () => {
  const backends = await named('one', 'two');
  const config = { port: 0, admin: false, backends };
  const { proxy } = await ran('functions', { config, homeOf: Number, key: 'k' });
  await proxy.listen();
  expect(await textOf(`${proxy.url}/internal`)).toBe('No.');
  const [one, two] = await proxy.pools.default.backends();
  for (const [backend, name] of [
    [one, 'one'],
    [two, 'two'],
    [one, 'one'],
  ] as const) {
    const headers = { 'x-tenant': String(backend?.id), 'x-key': 'k' };
    expect(await textOf(`${proxy.url}/internal`, headers)).toBe(name);
  }
});

test('the example of a config is one', () => {
  const command = join(project, 'node_modules/fairlead/dist/cli/main.js');
  const { status, stdout } = run(NODE, [command, 'check', '--config', 'config.js']);
  expect([status, stdout]).toEqual([0, expect.stringContaining('port 8080')]);
});

test('Express behind it knows its client', async () => {
  const { proxy, servers } = await ran<{ servers: Server[] }>('express');
  for (const server of servers) afterTest(() => void server.close());
  const texts = [await textOf(proxy.url), await textOf(proxy.url)];
  expect(texts.map((said) => said.replace(/ for (127\.0\.0\.1|::1)$/, '')).toSorted()).toEqual([
    'one',
    'two',
  ]);
});

test('Fastify behind it knows its client, and takes itself out', async () => {
  const { proxy, app } = await ran<{ app: { close(): Promise<void> } }>('fastify');
  expect(await textOf(proxy.url)).toMatch(/^\{"client":"(127\.0\.0\.1|::1)"\}$/);
  await app.close();
  expect(await proxy.pools.default.backends()).toMatchObject([{ state: 'draining' }]);
});

test('what answers as Next does is checked at its own path', async () => {
  const checked: (string | undefined)[] = [];
  const { url } = await httpBackend(({ url: path }, response) => {
    checked.push(path);
    response.end('page');
  });
  const { proxy } = await ran('next', { urls: [url, url.replace('127.0.0.1', 'localhost')] });
  expect(await textOf(proxy.url)).toBe('page');
  expect(checked).toContain('/api/health');
});

test('socket.io goes through it, polling and by WebSocket', async () => {
  const urls: string[] = [];
  for (const name of ['one', 'two']) {
    const { server, url } = await httpBackend();
    const io = new SocketServer(server);
    afterTest(() => void io.close());
    io.on('connection', (socket) => socket.on('who', (tell: (name: string) => void) => tell(name)));
    urls.push(url);
  }
  const { proxy } = await ran('socket-io', { urls });
  for (const transports of [['polling'], ['polling'], ['websocket']]) {
    const client = connect(proxy.url, { transports, reconnection: false });
    afterTest(() => void client.close());
    const names = [await client.emitWithAck('who'), await client.emitWithAck('who')];
    expect(names[0]).toMatch(/^(one|two)$/);
    expect(names[1]).toBe(names[0]);
  }
});

test('the example of a test passes', async () => {
  const around = JSON.stringify({ urls: await named('one', 'two') });
  writeFileSync(
    join(project, 'run.js'),
    `Object.assign(globalThis, ${around});\nawait import('./in-a-test.js');\n`,
  );
  const child = spawn(NODE, ['run.js'], { cwd: project, stdio: ['ignore', 'pipe', 'inherit'] });
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  expect([code, said]).toEqual([0, expect.stringMatching(/pass 1\n/)]);
});

test('a program that is no module of ES can have it as well', () => {
  writeFileSync(
    join(project, 'old.cjs'),
    "console.log(typeof require('fairlead').createProxy, require('fairlead/package.json').name);\n",
  );
  const { stdout } = run(NODE, ['--no-warnings', 'old.cjs']);
  expect(stdout).toBe('function fairlead\n');
});
