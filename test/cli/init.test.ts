/** `fairlead init`: what it writes is a config, and it never takes anything away. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { COMMAND, runFairlead } from '../support/fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** `fairlead` runs on the same Node as this. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const readsTypes = major > 22 || (major === 22 && minor >= 18);

async function configIn(cwd: string, file: string): Promise<Record<string, unknown>> {
  const check = await runFairlead(['check', '--config', file], { cwd });
  expect(check).toMatchObject({ code: 0, stderr: '' });
  const { stdout } = await runFairlead(['print-config', '--config', file, '--json'], { cwd });
  return (JSON.parse(stdout) as { readonly config: Record<string, unknown> }).config;
}

test('without a terminal it takes the usual values, and says what comes next', async () => {
  const cwd = temporaryFolder('init');
  const file = join(cwd, 'fairlead.config.yaml');
  expect(await runFairlead(['init'], { cwd })).toEqual({
    code: 0,
    stdout: `${file} is written\n  fairlead check --config fairlead.config.yaml\n  fairlead --config fairlead.config.yaml\n`,
    stderr: '',
  });
  expect(readdirSync(cwd)).toEqual(['fairlead.config.yaml']);
  expect(await configIn(cwd, 'fairlead.config.yaml')).toMatchObject({
    port: 8080,
    admin_port: 9000,
    strategy: 'round-robin',
    backends: ['http://localhost:3001'],
  });
});

test.each(['yaml', 'js', ...(readsTypes ? ['ts'] : [])])(
  'what was chosen stands in the file of the format %s',
  async (format) => {
    const cwd = temporaryFolder('init');
    mkdirSync(join(cwd, 'node_modules'));
    symlinkSync(ROOT, join(cwd, 'node_modules/fairlead'));
    const file = `fairlead.config.${format}`;
    const given = ['http://:4001', 'https://shop.internal/base', '--port', '81'];
    const more = ['--admin-port', '9001', '--strategy', 'peak-ewma', '--format', format, '--json'];
    const { code, stdout } = await runFairlead(['init', ...given, ...more], { cwd });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ file: join(cwd, file), format, notes: [] });
    expect(await configIn(cwd, file)).toMatchObject({
      port: 81,
      admin_port: 9001,
      strategy: 'peak-ewma',
      backends: ['http://localhost:4001', 'https://shop.internal/base'],
    });
  },
);

test('each line that is commented out is right as soon as it is not', async () => {
  const cwd = temporaryFolder('init');
  await runFairlead(['init', '-o', 'a.yaml'], { cwd });
  const text = readFileSync(join(cwd, 'a.yaml'), 'utf8');
  const on = text.replaceAll(/^#(?=\w)/gm, '');
  expect(on).not.toBe(text);
  writeFileSync(join(cwd, 'a.yaml'), on);
  expect(await configIn(cwd, 'a.yaml')).toMatchObject({
    rate_limit: { rate: 100 },
    sticky: { by: 'cookie' },
    timeouts: { response: '10s', total: '1m' },
  });
});

test('a file that is there stays as it is without --force', async () => {
  const cwd = temporaryFolder('init');
  const file = join(cwd, 'mine.yml');
  writeFileSync(file, 'port: 1\n');
  const init = (...args: string[]) =>
    runFairlead(['init', '--output', 'mine.yml', ...args], { cwd });
  expect(await init('--yes')).toEqual({
    code: 1,
    stdout: '',
    stderr: `fairlead init: ${file} is there already: --force replaces it, --output writes elsewhere\n`,
  });
  expect(readFileSync(file, 'utf8')).toBe('port: 1\n');
  expect(await init('--force')).toMatchObject({ code: 0, stderr: '' });
  expect(readFileSync(file, 'utf8')).toContain('port: 8080');
  expect(readdirSync(cwd)).toEqual(['mine.yml']);
});

test('it says when another file comes first, and when its import leads nowhere', async () => {
  const cwd = temporaryFolder('init');
  writeFileSync(join(cwd, 'fairlead.config.mjs'), 'export default {};\n');
  const { stderr } = await runFairlead(['init', '--format', 'js', '--output', 'own.js'], { cwd });
  expect(stderr).toBe(
    'note: without --config, fairlead reads fairlead.config.mjs here\n' +
      'note: it imports fairlead, which is not installed here: npm install fairlead\n',
  );
});

test.each([
  [['ftp://x'], 'backends: "ftp://x" has the scheme "ftp"; only http, https and unix are possible'],
  [['--port', '99999'], 'port: must be a whole number from 1 to 65535, not 99999'],
  [['--port', 'x'], 'port: must be a whole number from 1 to 65535, not "x"'],
  [['--port', '9000'], 'the admin API must have another port than clients, not 9000'],
  [['--strategy', 'fastest'], 'strategy: must be one of round-robin'],
  [['--format', 'toml'], '--format must be one of yaml, ts, js, not "toml"'],
  [['-o', 'a.toml'], '--output: "a.toml" does not end with .yaml'],
  [['-o', 'a.ts', '--format', 'yaml'], '--output: "a.ts" does not end as --format yaml does'],
  [['--prot', '1'], 'Unknown option \'--prot\' (did you mean "port"?)'],
])('%j ends with 2 and writes nothing', async (args, message) => {
  const cwd = temporaryFolder('init');
  const { code, stdout, stderr } = await runFairlead(['init', ...args], { cwd });
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(`fairlead init: ${message}`);
  expect(readdirSync(cwd)).toEqual([]);
});

test('what can not be written is said', async () => {
  const cwd = temporaryFolder('init');
  const { code, stderr } = await runFairlead(['init', '-o', 'none/a.yaml'], { cwd });
  expect(code).toBe(1);
  expect(stderr).toContain('cannot write');
});

interface Terminal {
  readonly child: ChildProcess;
  readonly out: () => string;
}

function onTerminal(cwd: string, ...args: readonly string[]): Terminal {
  const command = `"${process.execPath}" "${COMMAND}" init ${args.join(' ')}; echo "ended $?"`;
  const child = spawn('script', ['-qc', command, '/dev/null'], { cwd });
  afterTest(() => void child.kill('SIGKILL'));
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  return { child, out: () => out };
}

async function answer({ child, out }: Terminal, question: string, text: string): Promise<void> {
  await waitFor(() => out().includes(question));
  child.stdin?.write(text);
}

describe.runIf(hasTool('script'))('on a terminal', () => {
  test('it asks for what was not given, again where the answer is no good', async () => {
    const cwd = temporaryFolder('init');
    const terminal = onTerminal(cwd, '--strategy', 'random-two');
    await answer(terminal, 'Backends [http://localhost:3001]: ', 'ftp://x\r');
    await waitFor(() => terminal.out().includes('only http, https and unix are possible'));
    terminal.child.stdin?.write(':5001, :5002\r');
    await answer(terminal, 'Port for clients [8080]: ', '\r');
    await answer(terminal, 'Port for the admin API [9000]: ', '8080\r');
    await waitFor(() => terminal.out().includes('the admin API must have another port'));
    terminal.child.stdin?.write('9002\r');
    await waitFor(() => terminal.out().includes('ended 0'));
    expect(terminal.out()).not.toContain('Strategy');
    expect(await configIn(cwd, 'fairlead.config.yaml')).toMatchObject({
      port: 8080,
      admin_port: 9002,
      strategy: 'random-two',
      backends: ['http://localhost:5001', 'http://localhost:5002'],
    });
  });

  test.each([
    ['Ctrl-C', '\u0003'],
    ['Ctrl-D', '\u0004'],
  ])('%s leaves nothing behind', async (_, key) => {
    const cwd = temporaryFolder('init');
    const terminal = onTerminal(cwd);
    await answer(terminal, 'Backends [', '\r');
    await answer(terminal, 'Port for clients [', key);
    await waitFor(() => terminal.out().includes('ended 1'));
    expect(terminal.out()).toContain('interrupted, nothing was written');
    expect(readdirSync(cwd)).toEqual([]);
  });

  test('--yes asks nothing', async () => {
    const cwd = temporaryFolder('init');
    const terminal = onTerminal(cwd, '--yes');
    await waitFor(() => terminal.out().includes('ended 0'));
    expect(terminal.out()).not.toContain('Backends');
  });
});
