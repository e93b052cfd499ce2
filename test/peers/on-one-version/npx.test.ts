/** A user's first minutes: what `npm pack` makes, run by npx and installed by npm in folders where nothing else is. */
import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, test, vi } from 'vitest';
import { afterTest } from '../../support/after-test.ts';
import { freePort } from '../../support/free-port.ts';
import { httpBackend } from '../../support/http-backend.ts';
import { packageRegistry } from '../../support/package-registry.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { LONG_MS, waitFor, within } from '../../support/wait-for.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const KIB = 1024;
/** Of one call of npm, which takes seconds where nothing else runs. */
const LONGEST_MS = 80_000;

vi.setConfig({ testTimeout: 2 * LONGEST_MS, hookTimeout: LONGEST_MS });

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

const execute = promisify(execFile);
let tarball = '';
let packed: Packed;
/** npm's: whatever it keeps and reads is in a folder of the test. */
let env: NodeJS.ProcessEnv = {};

async function run(
  command: string,
  args: readonly string[],
  cwd: string,
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  return execute(command, args, { cwd, env, timeout: LONGEST_MS });
}

beforeAll(async () => {
  const home = temporaryFolder('home');
  const others = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|FAIRLEAD_|TARGET_|VITEST|NODE_OPTIONS$)/i.test(name),
  );
  env = {
    ...Object.fromEntries(others),
    HOME: home,
    npm_config_cache: join(home, 'cache'),
    npm_config_registry: await packageRegistry(),
    npm_config_update_notifier: 'false',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
  };
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', home];
  const { stdout } = await run('npm', args, ROOT);
  [packed] = JSON.parse(stdout) as [Packed];
  tarball = join(home, packed.filename);
});

test('the package has the program, its types and the texts about it, and is no larger than that', () => {
  const paths = packed.files.map(({ path }) => path);
  // Where README leads to; what else the package has is what a program needs.
  const texts = /^(?:docs|examples|bench)\//;
  const program = paths.filter((path) => !texts.test(path));
  const others = program.filter((path) => !/^dist\/.*\.(js|d\.ts)$/.test(path));
  expect(others.toSorted()).toEqual([
    'LICENSE',
    'README.md',
    'dist/THIRD_PARTY_LICENSES.txt',
    'dist/dashboard/index.html',
    'dist/fairlead.1',
    'dist/fairlead.schema.json',
    'package.json',
  ]);
  expect(paths.filter((path) => /\btests?\b|\.map$|\.tsbuildinfo$/.test(path))).toEqual([]);
  expect(packed.size).toBeLessThan(1536 * KIB);
  expect(packed.unpackedSize).toBeLessThan(5120 * KIB);
});

test('nothing in it tells where it was built, or asks for a map that is not there', () => {
  const places = [ROOT, `${homedir()}/`, `${tmpdir()}/`, 'sourceMappingURL'];
  const telling = packed.files.filter(({ path }) => {
    const text = readFileSync(join(ROOT, path), 'utf8');
    return path !== 'package.json' && places.some((place) => text.includes(place));
  });
  expect(telling).toEqual([]);
});

test('npm would publish it as it is', async () => {
  const args = ['publish', '--dry-run', '--ignore-scripts', '--json', tarball];
  const { stdout, stderr } = await run('npm', args, temporaryFolder('publish'));
  expect(stdout).toContain(`"entryCount": ${packed.files.length}`);
  // What npm mends in a package.json, it says so.
  expect(stderr).not.toMatch(/auto-corrected|errors corrected|invalid/i);
});

/** What stands after `npx` for a package that is in a file. */
function fairlead(...args: readonly string[]): string[] {
  return ['--yes', `--package=${tarball}`, 'fairlead', ...args];
}

interface Npx {
  readonly npx: ChildProcess;
  /** All that it and what it has started have said. */
  readonly output: () => string;
  /** Of the log. */
  readonly lines: (event: string) => Record<string, unknown>[];
}

function runNpx(args: readonly string[], cwd: string): Npx {
  const options: SpawnOptions = { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true };
  const npx = spawn('npx', fairlead(...args), options);
  afterTest(() => {
    try {
      process.kill(-(npx.pid as number), 'SIGKILL');
    } catch {
      // Nobody of the group is left.
    }
  });
  let text = '';
  for (const stream of [npx.stdout, npx.stderr]) {
    stream?.setEncoding('utf8').on('data', (more: string) => (text += more));
  }
  const lines = (event: string): Record<string, unknown>[] =>
    text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .filter((line) => line.startsWith('{') && line.includes(`"event":"${event}"`))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { npx, output: () => text, lines };
}

async function listening(output: () => string): Promise<void> {
  try {
    await waitFor(() => output().includes('"listening"'), LONGEST_MS, 'the log line "listening"');
  } catch (error) {
    throw new Error(output(), { cause: error });
  }
}

test('npx runs it from an empty folder: it serves, tells its state and ends', async () => {
  const folder = temporaryFolder('empty');
  const backend = await httpBackend((_request, response) => void response.end('hello'));
  const [port, admin] = [await freePort(), await freePort()];
  const ports = ['--port', String(port), '--admin-port', String(admin)];
  const { npx, output, lines } = runNpx([`http://:${backend.port}`, ...ports], folder);
  const ended = once(npx, 'close');
  await listening(output);
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('hello');

  const url = `http://127.0.0.1:${admin}`;
  const status = await run('npx', fairlead('status', '--admin', url), folder);
  expect(status.stdout).toMatch(new RegExp(`localhost:${backend.port}\\b.* yes .*healthy`));

  npx.kill('SIGTERM');
  await within(ended, LONG_MS, `the end of npx:\n${output()}`);
  expect(lines('stopped')).toHaveLength(1);
  expect(readdirSync(folder)).toEqual([]);
});

test('an upgrade of what npx has started lives on when npx has ended', async () => {
  const folder = temporaryFolder('upgraded');
  const backend = await httpBackend((_request, response) => void response.end('hello'));
  const [port, admin] = [await freePort(), await freePort()];
  const settings = ['--port', String(port), '--admin-port', String(admin), '--threads', '2'];
  const { npx, output, lines } = runNpx([`http://:${backend.port}`, ...settings], folder);
  const ended = once(npx, 'exit');
  await listening(output);
  const answer = async () => (await fetch(`http://127.0.0.1:${port}/`)).text();
  expect(await answer()).toBe('hello');

  const url = `http://127.0.0.1:${admin}`;
  const upgraded = await run('npx', fairlead('upgrade', '--admin', url), folder);
  const successor = Number(lines('upgrade.handed_over')[0]?.['successor']);
  expect(upgraded.stdout).toContain(String(successor));
  expect(await within(ended, LONG_MS, `the end of npx:\n${output()}`)).toEqual([0, null]);
  expect(lines('stopped')).toHaveLength(1);
  // It looks after its parent four times a second, where that is what ends it.
  await sleep(1_000);
  expect(await answer()).toBe('hello');
  const status = await run('npx', fairlead('status', '--admin', url), folder);
  expect(status.stdout).toMatch(new RegExp(`localhost:${backend.port}\\b.* yes .*healthy`));

  process.kill(successor, 'SIGTERM');
  await waitFor(() => lines('stopped').length === 2, LONG_MS, 'the end of the new process');
  expect(readdirSync(folder)).toEqual([]);
});

test('npx says with its exit code what is wrong with a config', async () => {
  const folder = temporaryFolder('check');
  writeFileSync(join(folder, 'good.yaml'), 'backends: [http://localhost:3001]\n');
  writeFileSync(join(folder, 'bad.yaml'), 'port: 8080\nbackend: [http://localhost:3001]\n');
  expect((await run('npx', fairlead('check', '--config', 'good.yaml'), folder)).stdout).toContain(
    'port 8080',
  );
  const refused = run('npx', fairlead('check', '--config', 'bad.yaml'), folder);
  await expect(refused).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/bad\.yaml:2.*backends/s),
  });
});

const PROGRAM = `import { createProxy, type ProxyConfig } from 'fairlead';
const config: ProxyConfig = { port: 0, admin: false, strategy: 'least-connections' };
const proxy = createProxy(config);
await proxy.listen();
const port: number = proxy.port;
console.log(port > 0, (await fetch(proxy.url)).status);
await proxy.close();
`;

test('installed, it is a command and a library with types', async () => {
  const folder = temporaryFolder('installed');
  writeFileSync(join(folder, 'package.json'), '{"type":"module","private":true}');
  await run('npm', ['install', tarball], folder);
  const modules = join(folder, 'node_modules');
  const installed = readdirSync(modules).filter((name) => !name.startsWith('.'));
  expect(installed).toContain('fairlead');
  expect(installed.length).toBeLessThan(20);
  expect(existsSync(join(modules, '.bin', 'fairlead'))).toBe(true);
  expect(statSync(join(modules, 'fairlead/dist/cli/main.js')).mode & 0o111).toBe(0o111);
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  expect((await run('npx', ['fairlead', '--version'], folder)).stdout).toContain(version);

  // Those who write TypeScript for Node have them.
  const tools = join(ROOT, 'node_modules');
  symlinkSync(join(tools, '@types'), join(modules, '@types'));
  symlinkSync(join(tools, 'undici-types'), join(modules, 'undici-types'));
  writeFileSync(join(folder, 'program.ts'), PROGRAM);
  const tsc = join(tools, 'typescript/bin/tsc');
  const options = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node'];
  await run(process.execPath, [tsc, ...options, 'program.ts'], folder);
  expect((await run(process.execPath, ['program.js'], folder)).stdout).toBe('true 503\n');
});
