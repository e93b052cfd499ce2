/** A server program in a process of its own, which can be frozen, killed and started again. It does not outlive the tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { pathOf, type Tool } from './tools.ts';
import { waitFor } from './wait-for.ts';

const MOST_STOPPING_MS = 10_000;
const PAUSE = new Int32Array(new SharedArrayBuffer(4));

export class ServerProcess {
  readonly #program: Tool;
  #child: ChildProcess | undefined;
  readonly #killNow = (): void => void this.#child?.kill('SIGKILL');

  constructor(program: Tool) {
    this.#program = program;
  }

  /** @param isReady whether it answers; it may fail until then. */
  async start(args: readonly string[], isReady: () => Promise<boolean>): Promise<void> {
    const program = this.#program;
    const child = spawn(pathOf(program) ?? program, args, { stdio: 'ignore' });
    this.#child = child;
    process.on('exit', this.#killNow);
    await waitFor(() => child.exitCode !== null || isReady(), undefined, `${program} to answer`);
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`);
  }

  /** One that is to stop has stopped when this returns: on another processor it may have gone on for a while. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    const child = this.#child;
    child?.kill(name);
    if (name === 'SIGSTOP' && child?.pid !== undefined) waitUntilStopped(child.pid);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    process.off('exit', this.#killNow);
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }
}

function waitUntilStopped(pid: number): void {
  const until = performance.now() + MOST_STOPPING_MS;
  while (!isStopped(pid)) {
    if (performance.now() > until) throw new Error(`process ${pid} does not stop`);
    Atomics.wait(PAUSE, 0, 0, 1);
  }
}

function isStopped(pid: number): boolean {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.every((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8').includes('\nState:\tT'),
  );
}
