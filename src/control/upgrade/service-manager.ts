/** systemd watches the process that it has started: it has to hear that another one is the main one from now on. */
import { spawn } from 'node:child_process';

const NOTIFY_MS = 5_000;

/** Why this process can't be followed by another; undefined: it can. */
export function whyNotFollowed(env: NodeJS.ProcessEnv, pid: number): string | undefined {
  if (pid === 1) {
    return 'it is process 1, with which its container ends: start another container and drain this one';
  }
  const isMain = env['SYSTEMD_EXEC_PID'] === String(pid);
  if (isMain && (env['NOTIFY_SOCKET'] ?? '') === '') {
    return 'systemd would end the unit with this process: the unit needs NotifyAccess=all, or Type=notify with it';
  }
  return undefined;
}

/** Says so, where systemd listens. @throws why it does not know */
export async function tellMainPid(env: NodeJS.ProcessEnv, pid: number): Promise<void> {
  if ((env['NOTIFY_SOCKET'] ?? '') === '') return;
  await new Promise<void>((resolve, reject) => {
    const child = spawn('systemd-notify', [`MAINPID=${pid}`], {
      env,
      stdio: 'ignore',
      timeout: NOTIFY_MS,
    });
    const fail = (why: string): void =>
      reject(new Error(`systemd can't be told of it: systemd-notify ${why}`));
    child.once('error', (error) => fail(error.message));
    child.once('exit', (code, signal) => {
      if (code === 0) resolve();
      else fail(`ended with ${code ?? signal}`);
    });
  });
}
