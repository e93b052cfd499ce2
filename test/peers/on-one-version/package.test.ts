/** What the package is to those who install it: its exports, its types, and programs of their own that have it beside them. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { codeBlocks, readPage } from '../../docs/markdown.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const NODE = process.env['FAIRLEAD_TEST_NODE'] ?? process.execPath;
const TOOLS = join(ROOT, 'node_modules');

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
  for (const name of ['zod', 'yaml', 'pino', '@types/node', 'undici-types']) {
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

/** What the examples leave to the reader. */
const AROUND = `import { createProxy as create, type ProxyConfig } from 'fairlead';
declare const config: ProxyConfig;
declare const [key, firstUrl, secondUrl]: [string, string, string];
declare function homeOf(tenant: string | undefined): number;
`;

const EXAMPLES = codeBlocks(readPage('docs/library.md'))
  .filter(({ language }) => language === 'ts')
  .map(({ code }) => code)
  .filter((code) => !/from '(express|fastify)'/.test(code))
  .map(
    (code) =>
      AROUND + (code.includes("from 'fairlead'") ? code : code.replaceAll('createProxy', 'create')),
  );

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
  expect(EXAMPLES.length).toBeGreaterThan(4);
  const said = complaints({
    'ten-lines.ts': TEN_LINES,
    'wrong.ts': WRONG,
    ...Object.fromEntries(EXAMPLES.map((code, index) => [`example-${index}.ts`, code])),
  });
  expect(said).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10].map((line) => `wrong.ts(${line}`));

  const { status, stdout, stderr } = run(NODE, ['ten-lines.js']);
  expect([status, stdout, stderr]).toEqual([0, 'hello true\n', '']);
});

test('a program that is no module of ES can have it as well', () => {
  writeFileSync(
    join(project, 'old.cjs'),
    "console.log(typeof require('fairlead').createProxy, require('fairlead/package.json').name);\n",
  );
  const { stdout } = run(NODE, ['--no-warnings', 'old.cjs']);
  expect(stdout).toBe('function fairlead\n');
});
