/**
 * An earlier Fairlead to compare with: a commit of this repository, built in a folder of its own that goes with the run. The tree
 * and its git are only read.
 */
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Skipped } from './bench.mjs';
import { UsageError } from './options.mjs';
import { commandOf } from './peers/fairlead.mjs';
import { isInstalled } from './stage.mjs';

/**
 * The last commit in which there was one listener, one route and one pool: what came after it must not have made a small GET
 * dearer.
 */
const BEFORE = '5bf481e332c1f92522841a7891be2b96aef78f42';
/** What a build reads. */
const NEEDED = [
  'package.json',
  'package-lock.json',
  'scripts',
  'src',
  'tsconfig.json',
  'tsconfig.build.json',
];
const ROOT = fileURLToPath(new URL('..', import.meta.url));

/**
 * @param {{ stage: Runner, options: import('./options.mjs').Options }} bench
 * @param {string} [root] the folder of the repository
 * @returns {Promise<{ name: string, dist: string }>}
 * @throws Skipped when nothing was asked for, and the commit is not to be had here
 *
 * @typedef {Pick<import('./stage.mjs').Stage, 'path' | 'run'>} Runner
 */
export async function earlierBuild({ stage, options }, root = ROOT) {
  const { before, beforeDist, node } = options;
  if (beforeDist !== null) return { name: 'fairlead, before', dist: beforeDist };
  const commit = await (before === null ? ownChoice(stage, root) : commitOf(stage, before, root));
  const folder = stage.path('before');
  await unpack(stage, root, commit, folder);
  await provide(stage, root, folder);
  await mustSucceed(stage, process.execPath, ['scripts/build.mjs'], folder);
  const dist = join(folder, 'dist');
  await mustSucceed(stage, node, [commandOf(dist), '--version'], folder);
  return { name: `fairlead, ${before ?? commit.slice(0, 7)}`, dist };
}

async function ownChoice(stage, root) {
  try {
    return await commitOf(stage, BEFORE, root);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new Skipped(`${error.message}; --before and --before-dist name another`);
  }
}

/**
 * @param {Runner} stage
 * @param {string} ref
 * @throws UsageError when there is none
 */
export async function commitOf(stage, ref, root = ROOT) {
  if (!isInstalled('git')) {
    throw new UsageError(
      `"${ref}" is built out of git, which is not installed (Debian: apt-get install git)`,
    );
  }
  const git = (...words) => stage.run('git', ['-C', root, ...words]);
  const found = await git(
    'rev-parse',
    '--verify',
    '--quiet',
    '--end-of-options',
    `${ref}^{commit}`,
  );
  if (found.status === 0) return found.output.trim();
  const { status, output } = await git('rev-parse', '--is-shallow-repository');
  if (status !== 0) {
    throw new UsageError(`"${ref}" is a commit, and git says of this tree: ${output.trim()}`);
  }
  const hint =
    output.trim() === 'true'
      ? 'it is a shallow one: "git fetch --unshallow" gets the rest'
      : '"git fetch" may get it';
  throw new UsageError(`"${ref}" is no commit of this clone; ${hint}`);
}

async function unpack(stage, root, commit, folder) {
  const archive = `${folder}.tar`;
  // Of what a build reads, earlier commits may have less.
  const listed = ['-C', root, 'ls-tree', '--name-only', commit, '--', ...NEEDED];
  const { output } = await stage.run('git', listed);
  const names = output.split('\n').filter((name) => name !== '');
  const packed = ['-C', root, 'archive', '--format=tar', '-o', archive, commit, '--', ...names];
  await mustSucceed(stage, 'git', packed, root);
  mkdirSync(folder);
  await mustSucceed(stage, 'tar', ['-xf', archive, '-C', folder], root);
}

const lockOf = (tree) => readFileSync(join(tree, 'package-lock.json'), 'utf8');

/** The packages of this tree, where that is what the commit is locked to; its own otherwise. */
async function provide(stage, root, folder) {
  if (lockOf(root) === lockOf(folder)) {
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    return;
  }
  const install = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  await mustSucceed(stage, 'npm', install, folder, process.env);
}

async function mustSucceed(stage, command, commandArguments, cwd, env = {}) {
  const { status, output } = await stage.run(command, commandArguments, { cwd, env });
  if (status === 0) return;
  const [line] = output.trim().split('\n');
  throw new Error(
    `the earlier build: "${[command, ...commandArguments].join(' ')}" failed: ${line}`,
  );
}
