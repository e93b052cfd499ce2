/** The short commands, as users run them; most of them not in a process of its own each. */
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { COMMANDS } from '../../src/cli/commands.ts';
import { runHere } from '../support/command-here.ts';
import { runFairlead } from '../support/fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = temporaryFolder('cli');
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

describe('help and version', () => {
  test.each([['--help'], ['-h'], ['help'], [':3001', '--help'], ['run', '--help']])(
    'fairlead %s',
    async (...args) => {
      const { code, stdout, stderr } = await runHere(args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(/^Usage: fairlead \[URL…\]/);
      expect(stdout).toContain('--health-check-frequency TIME');
      const [before = '', examples = ''] = stdout.split('\nExamples:\n');
      expect(examples).toMatch(/^ {2}fairlead http:/);
      const listed = before
        .split('\n')
        .flatMap((line) => /^ {2}([a-z][a-z-]+) /.exec(line)?.[1] ?? []);
      expect(listed.toSorted()).toEqual(Object.keys(COMMANDS).toSorted());
    },
  );

  test.each(['check', 'print-config', 'state', 'demo', 'backend', 'try'])(
    'fairlead %s --help',
    async (command) => {
      const { code, stdout } = await runHere([command, '--help']);
      expect(code).toBe(0);
      expect(stdout).toContain(`fairlead ${command}`);
    },
  );

  test('--version', async () => {
    const { code, stdout } = await runFairlead(['--version']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\S*\n$/);
  });
});

test.each([
  [['chekc'], 'fairlead: unknown command "chekc" (did you mean "check"?)'],
  [['banana'], 'fairlead: unknown command "banana" (fairlead --help lists them)'],
  [['toString'], 'fairlead: unknown command "toString" (fairlead --help lists them)'],
  [['--prot', '1'], 'fairlead run: unknown flag --prot (did you mean "--port"?)'],
  [['--conf', 'a'], 'fairlead run: unknown flag --conf (did you mean "--config"?)'],
  [['-p', '3001'], 'fairlead run: unknown flag -p (did you mean "--port"?)'],
  [
    ['--to', 'a:1'],
    'fairlead run: unknown flag --to (backends need no flag: fairlead http://:3001)',
  ],
  [['--listen=:80'], 'fairlead run: unknown flag --listen (did you mean "--port" or "--host"?)'],
  [
    ['--health'],
    'fairlead run: unknown flag --health (did you mean "--health-check-method", "--health-check-path", "--health-check-frequency" or another that begins so?)',
  ],
  [['start'], 'fairlead: unknown command "start" (did you mean "run"?)'],
  [['serve', ':1'], 'fairlead: unknown command "serve" (did you mean "run"?)'],
  [['stat'], 'fairlead: unknown command "stat" (did you mean "state"?)'],
  [['try', '-p', '1'], "fairlead try: Unknown option '-p'"],
  [
    ['3001'],
    'fairlead run: "3001" is not a backend URL (a backend on that port is http://:3001; to listen on it: --port 3001)',
  ],
  [
    ['unix:run/a.sock'],
    'command line: backends.0: "unix:run/a.sock" must have an absolute path, as in unix:/run/app.sock',
  ],
  [
    ['./a.sock'],
    'command line: backends.0: "./a.sock" is none of a Unix socket, which is written unix:/run/app.sock',
  ],
  [
    ['http://unix:/run/a.sock:/'],
    'command line: backends.0: "http://unix:/run/a.sock:/" is none of a Unix socket, which is written unix:/run/app.sock',
  ],
  [['--constructor'], 'fairlead run: unknown flag --constructor'],
  [['-x'], 'fairlead run: unknown flag -x'],
  [['--port'], 'fairlead run: --port needs a value: --port PORT'],
  [['--port='], 'fairlead run: --port needs a value: --port PORT'],
  [['--port', '--threads', '1'], 'fairlead run: --port needs a value: --port PORT'],
  [['--no-access-log=x'], 'fairlead run: --no-access-log takes no value'],
  [
    [':3001', 'check'],
    'fairlead run: "check" is neither a command nor a backend URL; a command comes first',
  ],
  [
    ['check', 'c.yaml'],
    'fairlead check: c.yaml is not a backend URL (for a config file: --config c.yaml)',
  ],
  [['check', '--jsno'], 'fairlead check: unknown flag --jsno (did you mean "--json"?)'],
  [['check', '--token', 'x'], 'fairlead check: --admin and --token go with --diff'],
  [['state'], 'fairlead state: say what to do: fairlead state show, or fairlead state clear'],
  [['--port', '99999'], '--port: must be a whole number from 1 to 65535, not 99999'],
  [
    ['--port', '9000'],
    '--port: must differ from admin_port, which is 9000 too (default) (set admin_port to another port)',
  ],
  [
    ['--strategy', 'leastconn'],
    '--strategy: must be one of round-robin, least-connections, random-two, peak-ewma, ip-hash, consistent-hash, least-conn, weighted-round-robin, not "leastconn" (did you mean "least-conn"?)',
  ],
  [['--config', 'none.yaml'], '--config: cannot read none.yaml: no such file'],
  [
    ['ftp://x'],
    'command line: backends.0: "ftp://x" has the scheme "ftp"; only http, https and unix are possible',
  ],
  [['--ssl-cert', 'a.crt'], '--ssl-cert: ssl.key_file: is missing: TLS needs a private key'],
])('fairlead %j ends with 2', async (args, line) => {
  expect(await runHere(args)).toEqual({ code: 2, stdout: '', stderr: `${line}\n` });
});

describe('check', () => {
  test('says every problem with its place', async () => {
    const cwd = await folderWith({ 'c.yaml': 'prot: 1\nbackends:\n  - http://a//x\n' });
    const result = await runFairlead(['check', '--config', 'c.yaml', '--threads=0'], { cwd });
    expect(result).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'c.yaml:1:1: prot: unknown key (did you mean "port"?)\n' +
        'c.yaml:3:5: backends.0: "http://a//x" has a path that is not clear: visible ASCII, without empty segments, dot segments, and encoded slashes\n' +
        '--threads: must be auto or 1 to 64, not 0\n',
    });
  });

  test('says in one line that all is fine', async () => {
    const cwd = await folderWith({ 'c.json': '{"backends": [":1"], "sticky_session_ttl": "1h"}' });
    expect(
      await runHere(['check', '--config=c.json', '--strategy', 'least-conn'], { cwd }),
    ).toEqual({
      code: 0,
      stdout: `ok: 1 backend, least-connections, port 8080, admin port 9000, config file ${join(cwd, 'c.json')}\n`,
      stderr: 'note: sticky_session_ttl has no effect while enable_sticky_sessions is false\n',
    });
  });

  test('URLs on the command line replace the list of the file', async () => {
    const cwd = await folderWith({ 'config.json': '{"backends": [":1", ":2", ":3"]}' });
    const { stdout } = await runHere(['check', 'http://:4', 'localhost:5'], { cwd });
    expect(stdout).toMatch(/^ok: 2 backends, /);
  });
});

describe('print-config', () => {
  const config = 'backends:\n  - :1\n  - { url: ":2", weight: 3 }\nadmin: { token: hidden-one }\n';

  test('prints YAML with the origin of every value, which is a config again', async () => {
    const cwd = await folderWith({ 'config.yaml': config });
    const args = ['print-config', '--config', 'config.yaml', '--port', '81', '--access-log=a.log'];
    const { code, stdout } = await runHere(args, { cwd, env: { FAIRLEAD_LOG_LEVEL: 'warn' } });
    expect(code).toBe(0);
    const lines = stdout.split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        'port: 81 # from flag --port',
        'admin_port: 9000 # default',
        '  token: "***" # from file config.yaml:4',
        '  - http://localhost:1 # from file config.yaml:2',
        '  - url: http://localhost:2 # from file config.yaml:3',
        '    weight: 3 # from file config.yaml:3',
        '  head: 10s # default',
        'trusted_proxies: [] # default',
        `access_log: ${join(cwd, 'a.log')} # from flag --access-log`,
        'log_level: warn # from environment FAIRLEAD_LOG_LEVEL',
      ]),
    );
    expect(lines.filter((line) => /\w: \S/.test(line) && !line.includes(' # '))).toEqual([]);
    expect(stdout).not.toContain('hidden-one');
    await writeFile(join(cwd, 'again.yaml'), stdout);
    expect((await runHere(['check', '--config', 'again.yaml'], { cwd })).code).toBe(0);
  });

  test('--json says the same', async () => {
    const cwd = await folderWith({ 'fairlead.config.yml': config });
    const yaml = await runFairlead(['print-config'], { cwd });
    const json = await runHere(['print-config', '--json'], { cwd });
    const parsed = JSON.parse(json.stdout) as { config: unknown; origins: Record<string, string> };
    expect(parsed.config).toEqual(parseDocument(yaml.stdout).toJS());
    expect(parsed.origins['backends.0']).toBe('file fairlead.config.yml:2');
  });
});

describe('into a pipe that nobody reads', () => {
  // `backend` goes on after its first line and so meets the error; the others have ended before it comes.
  test.each([['print-config'], ['backend', '--port', '0']])('%s ends without a word', (...args) => {
    const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
    const run = `"${process.execPath}" "${command}" ${args.join(' ')}`;
    const { stderr } = spawnSync('sh', ['-c', `(${run}; echo "$?" >&2) | true`], {
      encoding: 'utf8',
      timeout: 10_000,
      // Nothing of this process's own variables: an unknown FAIRLEAD_ one would be refused.
      env: { PATH: process.env['PATH'] ?? '' },
    });
    expect(stderr).toBe('0\n');
  });
});

describe('state', () => {
  test('without a config file there is none', async () => {
    expect(await runHere(['state', 'show'])).toEqual({
      code: 0,
      stdout: 'This config keeps no changes: it has no state_file.\n',
      stderr: '',
    });
  });

  const state = {
    version: 1,
    next_id: 3,
    strategy: 'least-connections',
    added: [{ url: 'http://localhost:9', id: 2, weight: 4 }],
    configured: [
      { url: 'http://localhost:1', id: 0, state: 'disabled' },
      { url: 'http://localhost:2', id: 1, backup: true },
    ],
  };

  test('show, clear, show', async () => {
    const cwd = await folderWith({
      'config.json': '{"backends": [":1", ":2"]}',
      'fairlead.state.json': JSON.stringify(state),
    });
    const file = join(cwd, 'fairlead.state.json');
    const run = (action: string) => runHere(['state', action], { cwd });
    const shown = await run('show');
    expect({ code: shown.code, stderr: shown.stderr }).toEqual({ code: 0, stderr: '' });
    expect(shown.stdout.split('\n').toSorted()).toEqual(
      [
        `${file}: 4 changes`,
        'strategy least-connections',
        'http://localhost:9 added, weight 4',
        'http://localhost:1 disabled',
        'http://localhost:2 backup',
        '',
      ].toSorted(),
    );
    expect(await run('clear')).toEqual({ code: 0, stdout: `${file}: cleared\n`, stderr: '' });
    expect((await run('show')).stdout).toBe(`${file}: 0 changes\n`);
    expect((await run('clear')).stdout).toBe(`${file}: there was nothing to clear\n`);
  });

  test('a damaged file is a failure that says why', async () => {
    const cwd = await folderWith({ 'fairlead.config.json': '{}', 'fairlead.state.json': '{' });
    const { code, stderr } = await runHere(['state', 'show'], { cwd });
    expect(code).toBe(1);
    expect(stderr).toContain('fairlead.state.json is damaged: not JSON');
  });

  test('one that can’t be read is another', async () => {
    const config = JSON.stringify({ state_file: 'file/state.json' });
    const cwd = await folderWith({ 'fairlead.config.json': config, file: '' });
    for (const action of ['show', 'clear']) {
      const { code, stderr } = await runHere(['state', action], { cwd });
      expect(code).toBe(1);
      expect(stderr).toMatch(/state\.json.*ENOTDIR/);
      expect(stderr).not.toContain('damaged');
    }
  });
});
