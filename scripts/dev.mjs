/**
 * `npm run dev -- [arguments of fairlead]`: compiles src/ at every change and starts Fairlead again.
 */
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

spawnSync(process.execPath, [`${root}scripts/build.mjs`], { stdio: 'inherit' });
// What watches starts others, which do not end with it: each is the leader of a group, and the group is ended.
const children = [
  [
    `${root}node_modules/typescript/bin/tsc`,
    '-p',
    `${root}tsconfig.build.json`,
    '--watch',
    '--preserveWatchOutput',
  ],
  ['--watch', '--watch-preserve-output', `${root}build/cli/main.js`, ...process.argv.slice(2)],
].map((args) => spawn(process.execPath, args, { stdio: 'inherit', detached: true }));

function endGroup({ pid }, signal) {
  try {
    process.kill(-pid, signal);
  } catch {
    // The whole group has ended.
  }
}

function endGroups(signal) {
  for (const child of children) endGroup(child, signal);
}

let isEnding = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    isEnding = true;
    endGroups(signal === 'SIGINT' ? 'SIGINT' : 'SIGTERM');
    // The compiler takes seconds over a SIGTERM, and has nothing to lose.
    endGroup(children[0], 'SIGKILL');
  });
}
for (const child of children) {
  child.on('exit', () => {
    if (isEnding) return;
    isEnding = true;
    endGroups('SIGTERM');
    endGroup(children[0], 'SIGKILL');
  });
}
