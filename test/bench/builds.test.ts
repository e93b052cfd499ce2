/** What a small GET costs beside an earlier build: which one that is, and what is made of the figures. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { hasTool } from '../support/tools.ts';

// Plain modules without declarations: named at run time, so that the compiler does not look for any.
const bench = async (name: string) =>
  import(new URL(`../../bench/${name}.mjs`, import.meta.url).href);
const { earlierBuild } = (await bench('earlier-build')) as {
  earlierBuild: (bench: object, root: string) => Promise<{ name: string; dist: string }>;
};
const { Skipped } = await bench('bench');
const { buildRows } = await bench('scenarios/build-rows');
const { judge } = await bench('verdicts');
const { parseOptions } = await bench('options');

/** Nothing of who runs the tests: git has settings of theirs. */
const ENVIRONMENT = { PATH: process.env['PATH'], HOME: '/nowhere', LANG: 'C' };

/** What the bench has a stage for, without a core of its own. */
function stageIn(folder: string): object {
  return {
    path: (name: string) => join(folder, name),
    run: (command: string, words: string[], { cwd = folder } = {}) =>
      new Promise((resolve) => {
        execFile(command, words, { cwd, env: ENVIRONMENT }, (error, stdout, stderr) => {
          resolve({ status: error === null ? 0 : 1, output: stdout + stderr });
        });
      }),
  };
}

const optionsFor = (before: string | null) => ({
  before,
  beforeDist: null,
  node: process.execPath,
});

/** Writes what a build needs, whose command says `version`. */
function write(root: string, version: string): void {
  const program = `console.log(${JSON.stringify(version)})`;
  const script = `import { mkdirSync, writeFileSync } from 'node:fs';
mkdirSync('dist/cli', { recursive: true });
writeFileSync('dist/cli/main.js', ${JSON.stringify(program)});`;
  const files = {
    'package.json': '{"type":"module"}',
    'package-lock.json': '{}',
    'scripts/build.mjs': script,
    'src/main.ts': '',
    'tsconfig.json': '{}',
    'docs/other.md': 'not of a build',
    'node_modules/packages': '',
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
}

const git = (root: string, ...words: string[]) =>
  execFileSync('git', ['-C', root, '-c', 'user.name=t', '-c', 'user.email=t@t', ...words], {
    encoding: 'utf8',
    env: ENVIRONMENT,
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();

/** Two commits: "one", and "two" above it. */
function repository(): string {
  const root = temporaryFolder('builds');
  git(root, 'init', '--quiet');
  writeFileSync(join(root, '.gitignore'), 'node_modules\ndist\n');
  for (const version of ['one', 'two']) {
    write(root, version);
    git(root, 'add', '.');
    git(root, 'commit', '--quiet', '-m', version);
  }
  return root;
}

function build(root: string, before: string | null) {
  const stage = stageIn(temporaryFolder('builds-stage'));
  return earlierBuild({ stage, options: optionsFor(before) }, root);
}

describe.runIf(hasTool('git'))('an earlier build', () => {
  test('is the commit that was asked for, outside of the tree, with its packages', async () => {
    const root = repository();
    writeFileSync(join(root, 'package-lock.json'), '{}');
    const { name, dist } = await build(root, 'HEAD~1');
    expect(name).toBe('fairlead, HEAD~1');
    const said = execFileSync(process.execPath, [join(dist, 'cli/main.js')], { encoding: 'utf8' });
    expect(said.trim()).toBe('one');
    expect(dist.startsWith(root)).toBe(false);
    expect(realpathSync(join(dist, '../node_modules'))).toBe(
      realpathSync(join(root, 'node_modules')),
    );
    expect(() => readFileSync(join(dist, '../docs/other.md'))).toThrow('ENOENT');
    expect(git(root, 'status', '--porcelain')).toBe('');
    expect(git(root, 'worktree', 'list').split('\n')).toHaveLength(1);
  });

  test('that is no commit is refused, and so is one that a shallow clone does not have', async () => {
    const root = repository();
    await expect(build(root, 'gone')).rejects.toThrow('"gone" is no commit of this clone');
    await expect(build(root, '--all')).rejects.toThrow('"--all" is no commit of this clone');
    const clone = temporaryFolder('builds-shallow');
    git(root, 'clone', '--quiet', '--depth', '1', `file://${root}`, clone);
    const first = git(root, 'rev-parse', 'HEAD~1');
    await expect(build(clone, first)).rejects.toThrow('"git fetch --unshallow" gets the rest');
  });

  test('that nobody asked for is left out where it is not to be had, in a tree without git too', async () => {
    const root = repository();
    const places = [
      [root, 'is no commit of this clone'],
      [temporaryFolder('builds-no-git'), 'not a git repository'],
    ] as const;
    for (const [place, reason] of places) {
      const error: unknown = await build(place, null).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(Skipped);
      expect(error).toMatchObject({ message: expect.stringContaining(reason) });
    }
  });

  test('that does not build says so', async () => {
    const root = repository();
    writeFileSync(join(root, 'scripts/build.mjs'), 'throw new Error("broken")');
    git(root, 'commit', '--quiet', '-am', 'three');
    await expect(build(root, 'HEAD')).rejects.toThrow('scripts/build.mjs" failed');
  });
});

describe('a folder that was built', () => {
  const known = { scenarios: [{ name: 'builds' }], peers: [] };

  test('is taken as it is', async () => {
    const folder = temporaryFolder('builds-dist');
    mkdirSync(join(folder, 'cli'));
    writeFileSync(join(folder, 'cli/main.js'), '');
    const options = parseOptions(['--before-dist', folder], known);
    const earlier = await earlierBuild({ stage: stageIn(folder), options }, '/nowhere');
    expect(earlier).toEqual({ name: 'fairlead, before', dist: folder });
  });

  test('must be one, and one of two', () => {
    const folder = temporaryFolder('builds-dist');
    expect(() => parseOptions(['--before-dist', folder], known)).toThrow('is no build');
    expect(() => parseOptions(['--before', 'a', '--before-dist', folder], known)).toThrow(
      'one of them',
    );
  });
});

const figures = (cpuUs: number, othersPercent = 0) => ({
  cpuUs,
  othersPercent,
  userUs: 0,
  systemUs: 0,
  perSecond: 1,
  p50Ms: 1,
  p99Ms: 1,
  memoryMiB: 1,
  requests: 100,
  errors: 0,
});
/** One round after the other: before, now, with a route. */
const rowsOf = (rounds: [number, number, number][], othersPercent = 0) =>
  buildRows(
    rounds.map(
      ([before, now, routed]) =>
        new Map([
          ['fairlead', figures(now)],
          ['fairlead, old', figures(before, othersPercent)],
          ['fairlead, one route', figures(routed)],
        ]),
    ),
    'fairlead, old',
  );
const verdictsOn = (rows: object[]) =>
  judge([{ name: 'builds', title: 'Builds', rows }], ['builds']).map(
    ({ is, outcome }: { is: number; outcome: string }) => [Math.round(is * 100) / 100, outcome],
  );

describe('the figures', () => {
  test('are compared round by round: with the earlier build, and the route with none', () => {
    const [now, routed, before] = rowsOf([
      [100, 101, 104.03],
      [200, 202, 206.04],
      [50, 60, 60],
    ]);
    expect(now).toMatchObject({ name: 'fairlead', beside: 'fairlead, old', cpuUs: 101 });
    expect(now.dearerPercent).toBeCloseTo(1);
    expect(now.lowPercent).toBeCloseTo(1);
    expect(now.highPercent).toBeCloseTo(20);
    expect(routed).toMatchObject({ beside: 'fairlead' });
    expect(routed.dearerPercent).toBeCloseTo(2);
    expect(before).toMatchObject({
      name: 'fairlead, old',
      beside: null,
      cpuUs: 100,
      requests: 300,
    });
  });

  test('may be two percent above', () => {
    expect(verdictsOn(rowsOf([[100, 102, 104.04]]))).toEqual([
      [2, 'reached'],
      [2, 'reached'],
    ]);
    expect(verdictsOn(rowsOf([[100, 102.02, 102.02]]))).toEqual([
      [2.02, 'missed'],
      [0, 'reached'],
    ]);
  });

  test('say nothing when the earlier build had not its core', () => {
    expect(verdictsOn(rowsOf([[100, 90, 90]], 30))).toEqual([
      [-10, 'machine was busy'],
      [0, 'reached'],
    ]);
  });
});
