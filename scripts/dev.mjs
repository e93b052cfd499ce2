/**
 * `npm run dev -- [arguments of fairlead]`: compiles src/ at every change and starts Fairlead again.
 */
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

spawnSync(process.execPath, [`${root}scripts/build.mjs`], { stdio: 'inherit' });
const children = [
  [
    `${root}node_modules/typescript/bin/tsc`,
    '-p',
    `${root}tsconfig.build.json`,
    '--watch',
    '--preserveWatchOutput',
  ],
  ['--watch', '--watch-preserve-output', `${root}dist/cli/main.js`, ...process.argv.slice(2)],
].map((args) => spawn(process.execPath, args, { stdio: 'inherit' }));

// A Ctrl-C reaches the children by itself; a signal sent to this process alone would not.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    for (const child of children) child.kill(signal);
  });
}
for (const child of children) {
  child.on('exit', () => {
    for (const other of children) other.kill();
  });
}
