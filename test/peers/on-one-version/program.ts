/** A server that others have written, in a process of its own, which is ended after the test. */
import { spawn } from 'node:child_process';
import { afterTest } from '../../support/after-test.ts';
import { LONG_MS, within } from '../../support/wait-for.ts';

export interface Program {
  /** All that it has said so far. */
  output(): string;
  isRunning(): boolean;
  signal(name: NodeJS.Signals): void;
  /** Asks it to end, waits until it has, and returns its exit code. */
  stop(name?: NodeJS.Signals): Promise<number | null>;
}

export function startProgram(path: string, args: readonly string[]): Program {
  const child = spawn(path, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const exited = new Promise<number | null>((resolve) => {
    child.on('error', (error) => (output += String(error)));
    child.on('close', resolve);
  });
  const killNow = (): void => void child.kill('SIGTERM');
  process.on('exit', killNow);
  async function stop(name: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    child.kill(name);
    return within(exited, LONG_MS, `the end of ${path}:\n${output}`);
  }
  afterTest(async () => {
    process.off('exit', killNow);
    try {
      await stop();
    } catch {
      child.kill('SIGKILL');
      await exited;
    }
  });
  return {
    output: () => output,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    signal: (name) => void child.kill(name),
    stop,
  };
}
