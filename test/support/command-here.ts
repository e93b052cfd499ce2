/**
 * A command of `fairlead` without a process of its own, from the sources: for tables of arguments, each of which would cost half a second of
 * processor time otherwise. How the program ends, and what of it comes out, is for runFairlead.
 */
import { EventEmitter } from 'node:events';
import { runCommandLine } from '../../src/cli/command-line.ts';
import { HeldSignals } from '../../src/cli/terminal/held-signals.ts';
import type { FinishedRun } from './fairlead.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** No signals come to it. */
class NoProcess extends EventEmitter {
  readonly pid = process.pid;

  kill(): void {}
}

interface HereOptions {
  readonly cwd?: string;
  /** Beside the variables of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

/** One at a time: the streams, the folder and the variables of this process are its own meanwhile. */
export async function runHere(
  args: readonly string[],
  { cwd = temporaryFolder(), env = {} }: HereOptions = {},
): Promise<FinishedRun> {
  const { stdout, stderr, cwd: realCwd, exit, exitCode } = process;
  const writes = [stdout.write, stderr.write] as const;
  const listeners = [stdout, stderr].map((stream) => [stream, stream.listeners('error')] as const);
  const said = { stdout: '', stderr: '' };
  stdout.write = takes((text) => (said.stdout += text));
  stderr.write = takes((text) => (said.stderr += text));
  process.cwd = () => cwd;
  // It ends by itself behind that.
  process.exit = (() => {}) as unknown as typeof process.exit;
  process.exitCode = undefined;
  const variables = Object.keys(env).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, env);
  try {
    await runCommandLine(args, new HeldSignals(new NoProcess()));
    return { code: process.exitCode === undefined ? null : Number(process.exitCode), ...said };
  } finally {
    [stdout.write, stderr.write] = writes;
    process.cwd = realCwd;
    process.exit = exit;
    process.exitCode = exitCode;
    for (const [name, value] of variables) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    for (const [stream, before] of listeners) {
      for (const listener of stream.listeners('error')) {
        if (!before.includes(listener)) stream.off('error', listener as () => void);
      }
    }
  }
}

function takes(take: (text: string) => void): typeof process.stdout.write {
  return (text: string | Uint8Array, ...more: unknown[]): boolean => {
    take(String(text));
    const written = more.at(-1);
    if (typeof written === 'function') written();
    return true;
  };
}
