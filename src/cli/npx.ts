/** Ending with `npx fairlead`. */

const LOOK_EVERY_MS = 250;

/**
 * npx runs the command under a shell. A SIGTERM to npx ends npx and that shell, and nobody passes it on: Fairlead would
 * stay behind and hold its ports. So when the shell has gone, that is the SIGTERM.
 */
export function endWithNpx(): void {
  const { npm_command: command, npm_lifecycle_script: script = '' } = process.env;
  if (command !== 'exec' || !/^'?fairlead\b/.test(script)) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, LOOK_EVERY_MS);
  timer.unref();
}
