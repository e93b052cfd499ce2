/** The image of the Dockerfile, made without Docker: its steps in clean folders, and what comes of them run as it would be. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { validate } from 'dockerfile-utils';
import { beforeAll, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { packageRegistry } from '../support/package-registry.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { LONG_MS, waitFor, within } from '../support/wait-for.ts';
import { commandOf, ignoring, linesOf, type Stage, stagesOf, wordsOf } from './recipe.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TEXT = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
const BUILD_MS = 120_000;
const USER = 65_532;

const stages = stagesOf(TEXT);
const [packages, build, last] = stages;
if (packages === undefined || build === undefined || last === undefined)
  throw new Error('The Dockerfile has not the stages that this test knows.');

const execute = promisify(execFile);
const isIgnored = ignoring(join(ROOT, '.dockerignore'));
/** What is in the image below /fairlead. */
let image = '';

/** What a build is sent of this clone. */
function copyContext(folder: string): void {
  cpSync(ROOT, folder, {
    recursive: true,
    filter: (source) => !isIgnored(relative(ROOT, source)),
  });
}

/** The files that a stage names, without those of other stages. */
function ownFilesOf({ instructions }: Stage): string[] {
  return instructions
    .filter((instruction) => instruction.getKeyword() === 'COPY')
    .filter((instruction) => !/^COPY\s+--from=/.test(instruction.getTextContent()))
    .flatMap((instruction) => wordsOf(instruction).slice(0, -1));
}

async function makePackages(folder: string): Promise<void> {
  for (const name of ownFilesOf(packages as Stage)) {
    cpSync(join(ROOT, name), join(folder, name));
  }
  // The archives that this registry makes are others than those of npm's, byte by byte.
  const lock = join(folder, 'package-lock.json');
  writeFileSync(lock, readFileSync(lock, 'utf8').replaceAll(/^\s*"integrity": .*\n/gm, ''));
  const env = {
    ...process.env,
    HOME: folder,
    npm_config_cache: join(folder, 'cache'),
    npm_config_registry: await packageRegistry(),
    npm_config_audit: 'false',
  };
  for (const line of linesOf(packages as Stage, 'RUN')) {
    await execute('sh', ['-c', line], { cwd: folder, env, timeout: BUILD_MS });
  }
}

async function makeProgram(folder: string): Promise<void> {
  copyContext(folder);
  for (const line of linesOf(build as Stage, 'RUN')) {
    // What it would install is what this clone has installed.
    if (line.startsWith('npm ci'))
      symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    else await execute('sh', ['-c', line], { cwd: folder, timeout: BUILD_MS });
  }
}

beforeAll(async () => {
  const folder = temporaryFolder('image');
  chmodSync(folder, 0o755);
  image = join(folder, 'fairlead');
  const places = ['packages', 'build', 'fairlead'].map((name) => join(folder, name));
  const [packagesIn = '', buildIn = ''] = places;
  for (const place of places) mkdirSync(place);
  await makePackages(packagesIn);
  await makeProgram(buildIn);
  for (const name of ownFilesOf(last)) cpSync(join(ROOT, name), join(image, name));
  cpSync(join(packagesIn, 'node_modules'), join(image, 'node_modules'), { recursive: true });
  cpSync(join(buildIn, 'dist'), join(image, 'dist'), { recursive: true });
}, 2 * BUILD_MS);

test('the Dockerfile is one, and each of its stages and files is there', () => {
  expect(validate(TEXT)).toEqual([]);
  const from = Array.from(TEXT.matchAll(/--from=(\w+)/g), ([, name]) => name);
  expect(from.filter((name) => !stages.some((stage) => stage.name === name))).toEqual([]);
  const named = stages.flatMap(ownFilesOf);
  expect(named).toContain('package-lock.json');
  expect(named.filter((name) => isIgnored(name) || !existsSync(join(ROOT, name)))).toEqual([]);
});

test('the image is for nobody special, and has nothing to build with', () => {
  expect(linesOf(last, 'USER')).toEqual([`${USER}:${USER}`]);
  expect(linesOf(last, 'RUN')).toEqual([]);
  expect(linesOf(last, 'STOPSIGNAL')).toEqual(['SIGTERM']);
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const installed = readdirSync(join(image, 'node_modules'));
  for (const name of Object.keys(dependencies)) expect(installed).toContain(name);
  for (const name of ['typescript', 'vitest']) expect(installed).not.toContain(name);
});

/** What it is run with, where it is in this test. */
function here(command: readonly string[]): string[] {
  return command.map((word) =>
    word.replace(/^\/nodejs\/bin\/node$/, process.execPath).replace(/^\/fairlead\//, `${image}/`),
  );
}

const environment = Object.fromEntries(
  linesOf(last, 'ENV').flatMap((line) =>
    line
      .split(' ')
      .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  ),
) as Record<string, string>;

/** Process 1 of a namespace, all file systems read-only but `writable`, no capabilities, not root. */
const ISOLATION = ['--mount', '--pid', '--fork'];
const READ_ONLY =
  'mount --make-rprivate / && mount --bind / / && mount -o remount,bind,ro / && cd / && ' +
  'if [ -n "$WRITABLE" ]; then mount --bind "$WRITABLE" "$WRITABLE" && mount -o remount,bind,rw "$WRITABLE"; fi && cd "$WORK" && exec "$@"';
const isRoot = process.getuid?.() === 0;
const become = isRoot
  ? [
      'setpriv',
      `--reuid=${USER}`,
      `--regid=${USER}`,
      '--clear-groups',
      '--no-new-privs',
      '--bounding-set=-all',
    ]
  : ['setpriv', '--no-new-privs', '--bounding-set=-all'];
const namespaces = isRoot ? ISOLATION : ['--user', '--map-root-user', ...ISOLATION];
const canIsolate =
  spawnSync('unshare', [...namespaces, 'mount', '--make-rprivate', '/']).status === 0;

interface Container {
  readonly child: ChildProcess;
  readonly port: number;
  output(): string;
  readonly ended: Promise<unknown>;
  readonly env: NodeJS.ProcessEnv;
}

async function start(
  state: { file: string; writable: string },
  backend: string,
): Promise<Container> {
  const work = temporaryFolder('etc');
  chmodSync(work, 0o755);
  const [port, admin] = [await freePort(), await freePort()];
  const [entry = ''] = linesOf(last as Stage, 'ENTRYPOINT');
  const env = {
    PATH: process.env['PATH'],
    ...environment,
    FAIRLEAD_STATE_FILE: state.file,
    FAIRLEAD_PORT: String(port),
    FAIRLEAD_ADMIN_PORT: String(admin),
    TARGET_BACKEND_URLS: backend,
  };
  const isolated = [
    ...namespaces,
    'sh',
    '-c',
    READ_ONLY,
    'sh',
    ...become,
    ...here(commandOf(entry)),
  ];
  const child = spawn('unshare', isolated, {
    env: { ...env, WORK: work, WRITABLE: state.writable },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const ended = once(child, 'close');
  afterTest(async () => {
    // Another user's than that of `unshare` now, so it would not end with it.
    if (child.exitCode === null) process.kill(firstProcessOf(child), 'SIGKILL');
    await ended;
  });
  try {
    await waitFor(() => output.includes('"listening"'), LONG_MS, 'the log line "listening"');
  } catch (error) {
    throw new Error(output, { cause: error });
  }
  return { child, port, output: () => output, ended, env };
}

/** Of the host's view: the only child of `unshare`, which is process 1 where it is. */
function firstProcessOf({ pid }: ChildProcess): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
}

test.skipIf(!canIsolate)(
  'as process 1 of nobody on a read-only file system it serves, is found healthy, keeps changes and hears SIGTERM',
  async () => {
    const folder = temporaryFolder('state');
    if (isRoot) chownSync(folder, USER, USER);
    const { url } = await httpBackend((_request, response) => void response.end('hello'));
    const file = join(folder, 'state.json');
    const container = await start({ file, writable: folder }, url);
    expect(await (await fetch(`http://127.0.0.1:${container.port}/`)).text()).toBe('hello');
    const status = readFileSync(`/proc/${firstProcessOf(container.child)}/status`, 'utf8');
    expect(status).toMatch(/^NSpid:\t\d+\t(\d+\t)*1$/m);
    const uid = isRoot ? USER : process.getuid?.();
    expect(status).toMatch(new RegExp(`^Uid:\t${uid}\t`, 'm'));

    const [check = ''] = linesOf(last, 'HEALTHCHECK');
    const [node = '', ...args] = here(commandOf(check));
    const admin = `http://127.0.0.1:${container.env['FAIRLEAD_ADMIN_PORT']}`;
    expect((await execute(node, args, { env: container.env })).stdout).toBe('ready\n');
    const body = JSON.stringify({ strategy: 'ip-hash' });
    const headers = { 'content-type': 'application/json' };
    const changed = await fetch(`${admin}/strategy`, { method: 'POST', headers, body });
    expect(changed.status).toBe(200);
    expect(readFileSync(file, 'utf8')).toContain('ip-hash');
    expect(container.output()).not.toMatch(/"level":"?(warn|error)/);

    process.kill(firstProcessOf(container.child), 'SIGTERM');
    const [code] = (await within(container.ended, LONG_MS, 'the end')) as [number | null];
    expect([code, container.output()]).toEqual([0, expect.stringContaining('"stopped"')]);
    await expect(execute(node, args, { env: container.env })).rejects.toMatchObject({ code: 1 });
  },
);

test.skipIf(!canIsolate)(
  'where the state file can not be written it serves all the same, and says so',
  async () => {
    const folder = temporaryFolder('state');
    chmodSync(folder, 0o755);
    const { url } = await httpBackend();
    const container = await start({ file: join(folder, 'state.json'), writable: '' }, url);
    expect((await fetch(`http://127.0.0.1:${container.port}/`)).status).toBe(200);
    expect(container.output()).toMatch(
      /"state_file.not_writable".*changes through the admin API will be refused/,
    );
    const admin = `http://127.0.0.1:${container.env['FAIRLEAD_ADMIN_PORT']}`;
    const body = JSON.stringify({ strategy: 'ip-hash' });
    const headers = { 'content-type': 'application/json' };
    const refused = await fetch(`${admin}/strategy`, { method: 'POST', headers, body });
    expect(refused.ok).toBe(false);
    expect(await refused.text()).toContain('state.json');
  },
);
