/**
 * A terminal that is closed sends SIGHUP, which was taken for a reload: Fairlead lived on, unseen, and held its ports. On
 * Node 20 the SIGTERM that should end it after that crashed it.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { COMMAND } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

const START_MS = 60_000;

interface Session {
  readonly pid: number;
  readonly adminPort: number;
  /** Fairlead's log. */
  log(): string;
  /** The exit code as a shell shows it: 128 and more is a signal's. Empty while it runs. */
  code(): string;
  /** Closes the terminal; resolves when it is gone. */
  hangUp(): Promise<void>;
}

/**
 * Fairlead, started in a terminal that `script` (bsdutils) makes and closes when it ends.
 * @param how the line of the shell, in which FAIRLEAD stands for the command and what goes with it
 */
async function startIn(how: string): Promise<Session> {
  const folder = temporaryFolder('terminal');
  const read = (name: string): string =>
    existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : '';
  const adminPort = await freePort();
  const ports = `--port ${await freePort()} --admin-port ${adminPort}`;
  const command = `sh -c 'echo $$ > pid; exec "${process.execPath}" "${COMMAND}" ${ports} > log'`;
  // This shell outlives its terminal, to tell how Fairlead has ended. The one around it does not, as one that a person types
  // in: when it ends, the system sends SIGHUP to whatever runs in front.
  const lines = `trap : HUP\n${how.replace('FAIRLEAD', () => command)}\n`;
  await writeFile(join(folder, 'lines'), lines);
  const terminal = spawn('script', ['-qc', 'sh lines; true', '/dev/null'], {
    cwd: folder,
    env: { ...process.env, SHELL: '/bin/sh' },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const isClosed = new Promise<void>((resolve) => terminal.once('exit', () => resolve()));
  afterTest(() => void terminal.kill('SIGKILL'));
  await waitFor(() => read('log').includes('"listening"'), START_MS, 'the start');
  const pid = Number(read('pid'));
  afterTest(() => {
    if (isRunning(pid)) process.kill(pid, 'SIGKILL');
  });
  return {
    pid,
    adminPort,
    log: () => read('log'),
    code: () => read('code').trim(),
    async hangUp() {
      terminal.kill('SIGKILL');
      await isClosed;
    },
  };
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const isAlive = async ({ adminPort }: Session): Promise<boolean> =>
  (await fetch(`http://127.0.0.1:${adminPort}/livez`)).ok;

describe.runIf(hasTool('script'))('a terminal', () => {
  test('that is closed ends what was started in it; while it is there, SIGHUP is a reload', async () => {
    const session = await startIn('FAIRLEAD; echo $? > code');
    process.kill(session.pid, 'SIGHUP');
    await waitFor(() => session.log().includes('"config.reloaded"'));
    expect(await isAlive(session)).toBe(true);
    await session.hangUp();
    await waitFor(() => session.code() !== '');
    expect(session.code()).toBe('0');
    expect(session.log()).toContain('the terminal was closed');
    expect(session.log()).toContain('"stopped"');
  });

  test('that is closed without a SIGHUP for Fairlead leaves it to a SIGTERM, which ends it well', async () => {
    // In a process group of its own, in the background: the kernel tells only the one in front.
    const session = await startIn('set -m; (FAIRLEAD; echo $? > code) & wait; wait');
    await session.hangUp();
    expect(await isAlive(session)).toBe(true);
    process.kill(session.pid, 'SIGTERM');
    await waitFor(() => session.code() !== '');
    expect(session.code()).toBe('0');
    expect(session.log()).toContain('"stopped"');
  });

  test('that is closed sends a SIGHUP that is a reload where nohup keeps Fairlead alive', async () => {
    const session = await startIn('nohup FAIRLEAD; echo $? > code');
    await session.hangUp();
    await waitFor(() => session.log().includes('"config.reloaded"'));
    expect(await isAlive(session)).toBe(true);
    process.kill(session.pid, 'SIGTERM');
    await waitFor(() => session.code() !== '');
    expect(session.code()).toBe('0');
  });
});
