/** Completions, from the same table as the help; in a bash that has nothing but them. */
import { execFile, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { helpOf } from '../../src/cli/command-spec.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { type Completable, completables } from '../../src/cli/completion/completable.ts';
import { backendLines } from '../../src/cli/completion/completion-backends.ts';
import { bashScript } from '../../src/cli/completion/completion-bash.ts';
import { fishScript } from '../../src/cli/completion/completion-fish.ts';
import { zshScript } from '../../src/cli/completion/completion-zsh.ts';
import { parseSettingFlags } from '../../src/cli/settings-flags.ts';
import { loadSettings } from '../../src/config/load.ts';
import { STRATEGY_NAMES } from '../../src/snapshot/snapshot.ts';
import { runFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { SOON_MS, within } from '../support/wait-for.ts';

const MAIN = new URL('../../dist/cli/main.js', import.meta.url).pathname;

let all: readonly Completable[] = [];
beforeAll(async () => {
  all = await completables(COMMANDS);
});

/** What bash offers for each line, whose last word is the one at the cursor. Readline has split them at `=`. */
function inBash(lines: readonly string[][]): string[][] {
  const folder = temporaryFolder('completion');
  writeFileSync(join(folder, 'a file.yaml'), '');
  writeFileSync(join(folder, 'fairlead.bash'), bashScript(all));
  const script = [
    'set -u',
    'source ./fairlead.bash',
    // Which function it is, is for bash to say.
    'entry=$(complete -p fairlead) && entry=${entry#* -F } && entry=${entry%% *}',
    ...lines.map((words) => {
      const quoted = words.map((word) => `'${word}'`).join(' ');
      const line = `COMP_LINE='${words.join(' ')}'; COMP_POINT=\${#COMP_LINE}`;
      return `${line}; COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; $entry fairlead; (IFS='|'; echo "\${COMPREPLY[*]-}")`;
    }),
  ];
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-c', script.join('\n')], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  const answers = stdout.trimEnd().split('\n');
  return answers.map((line) => (line === '' ? [] : line.split('|')));
}

describe('in bash', () => {
  test('commands, flags and values are completed', () => {
    const lines = [
      ['fairlead', 'dr'],
      ['fairlead', 'drain', '--dea'],
      ['fairlead', 'strategy', 'rand'],
      ['fairlead', 'strategy', '--pool', 'rand'],
      ['fairlead', '--strategy', 'least'],
      ['fairlead', '--strategy', '='],
      ['fairlead', '--log-level', '=', 'wa'],
      ['fairlead', 'token', 'new', 'x', '--role', 'v'],
      ['fairlead', 'check', '--config', 'a'],
      ['fairlead', 'check', '--diff', '=', 'a'],
      ['fairlead', 'check', '--diff', '--ss'],
      ['fairlead', 'events', '--type', 'breaker.'],
      ['fairlead', 'completion', ''],
      ['fairlead', 'try', '-n', ''],
      ['fairlead', 'drain', '0', ''],
      ['fairlead', 'drain', '0', '--strat'],
      ['fairlead', '--ver'],
    ];
    expect(inBash(lines)).toEqual([
      ['drain'],
      ['--deadline'],
      ['random-two'],
      [],
      ['least-connections'],
      [...STRATEGY_NAMES],
      ['warn'],
      ['viewer'],
      ['a file.yaml'],
      ['a file.yaml'],
      ['--ssl-cert', '--ssl-key'],
      ['breaker.closed', 'breaker.half_open', 'breaker.opened'],
      ['bash', 'zsh', 'fish'],
      [],
      [],
      [],
      ['--version'],
    ]);
  });

  test('every command has every flag of its help, and no other', () => {
    const names = Object.keys(COMMANDS);
    const offered = inBash([['fairlead', ''], ...names.map((name) => ['fairlead', name, '--'])]);
    expect(offered[0]).toEqual([...names, 'help']);
    const flags = all.map((command) => command.flags.map(({ name }) => `--${name}`));
    expect(offered.slice(1)).toEqual(flags);
  });
});

/** An admin API with a backend in each of two pools. */
async function twoPools(): Promise<string> {
  const { url } = await httpBackend(({ url: path }, response) => {
    const pool = { '/backends': 'default', '/pools/api/backends': 'api' }[path ?? ''];
    const backend = { id: pool === 'api' ? 12 : 3, url: `http://${pool}:80`, state: 'enabled' };
    const pools = [{ name: 'default' }, { name: 'api' }];
    response.end(JSON.stringify(pool === undefined ? pools : [backend]));
  });
  return url;
}

function listed(...words: string[]): Promise<string> {
  return backendLines(words, COMMANDS);
}

describe('the backends that run', () => {
  test('are listed, of all pools or of one, where one may stand', async () => {
    const admin = await twoPools();
    const api = '12\thttp://api:80 of api, enabled\n';
    const both = `3\thttp://default:80 of default, enabled\n${api}`;
    for (const command of ['drain', 'remove', 'enable', 'disable', 'weight', 'reset']) {
      expect([command, await listed(command, '--admin', admin)]).toEqual([command, both]);
    }
    const one = api.replace(' of api', '');
    expect(await listed('drain', `--admin=${admin}`, '--pool', 'api', '--wait')).toBe(one);
    // The first argument is there, it is a flag's turn, no backend goes there.
    expect(await listed('weight', '3', '--admin', admin)).toBe('');
    expect(await listed('drain', '--admin', admin, '--pool')).toBe('');
    expect(await listed('add', '--admin', admin)).toBe('');
    expect(await listed('toString', '--admin', admin)).toBe('');
  });

  test('are none where nobody answers, without a word and without waiting for long', async () => {
    const mute = await httpBackend(() => {});
    const refused = `http://127.0.0.1:${await freePort()}`;
    for (const admin of [mute.url, refused, 'no:url', 'unix:/nowhere']) {
      const answer = listed('drain', '--admin', admin);
      expect(await within(answer, SOON_MS, `an answer about ${admin}`)).toBe('');
    }
  });

  test('are offered in bash, by the program that is on the line', async () => {
    const folder = temporaryFolder('completion-backends');
    writeFileSync(join(folder, 'fairlead.bash'), bashScript(all));
    const admin = await twoPools();
    const script = `source ./fairlead.bash
ours() { ${process.execPath} ${MAIN} "$@"; }
COMP_LINE='ours reset --admin=${admin} 1'; COMP_POINT=\${#COMP_LINE}
COMP_WORDS=(ours reset --admin = http : //x : 1 1); COMP_CWORD=9; _fairlead ours 1 1
echo "\${COMPREPLY[*]}"`;
    const run = promisify(execFile)('bash', ['--norc', '-c', script], { cwd: folder });
    expect(await run).toEqual({ stdout: '12\n', stderr: '' });
  });
});

test('what is completed is what the help says', async () => {
  for (const { name, flags } of all.filter((command) => command.name !== 'run')) {
    const { spec } = await (COMMANDS[name] as (typeof COMMANDS)['run']).load();
    expect(spec.name).toBe(name);
    const lines = helpOf(spec).matchAll(/^ {2}(?:-\w, )?(--[\w-]+)[ [=]/gm);
    const shown = Array.from(lines, ([, flag]) => flag);
    expect(shown).toEqual(flags.map((flag) => `--${flag.name}`));
    expect(spec.examples.length).toBeGreaterThan(0);
    for (const example of spec.examples) expect(example).toContain(`fairlead ${name}`);
  }
});

test('values that are offered for a setting are values that it takes', () => {
  const offered = (all.find(({ name }) => name === 'run')?.flags ?? []).flatMap(
    ({ name, value }) =>
      value.kind === 'words' ? value.words.map((word) => `--${name}=${word}`) : [],
  );
  expect(offered).toContain('--strategy=peak-ewma');
  for (const flag of offered) {
    const { flags } = parseSettingFlags(['--no-config', flag]);
    expect([flag, loadSettings({ flags, env: {}, cwd: '/' }).ok]).toEqual([flag, true]);
  }
});

test('zsh and fish are told of every flag, and no quote of a help ends another', () => {
  const [zsh, fish] = [zshScript(all), fishScript(all)];
  for (const { name, flags } of all) {
    expect(zsh).toContain(`    ${name})\n      _arguments`);
    expect(fish).toContain(`-n '__fairlead_at 1' -a ${name} -d `);
    for (const flag of flags) {
      expect(zsh).toContain(`--${flag.name}`);
      expect(fish).toContain(`-n '__fairlead_is ${name}' `);
      expect(fish).toMatch(new RegExp(`__fairlead_is ${name}' .*-l ${flag.name} `));
    }
  }
  expect(zsh).toContain('--access-log=-');
  for (const line of fish.split('\n').filter((text) => text.startsWith('complete')))
    expect(line.replaceAll(/\\./g, '').split("'").length % 2).toBe(1);
});

test('fairlead completion prints it, and refuses other shells', async () => {
  expect(await runFairlead(['completion', 'bash'])).toEqual({
    code: 0,
    stdout: bashScript(all),
    stderr: '',
  });
  expect(await runFairlead(['completion', 'tcsh'])).toEqual({
    code: 2,
    stdout: '',
    stderr:
      'fairlead completion: "tcsh" is not one of its shells: fairlead completion bash, zsh or fish\n',
  });
});
