/** A server program in a process of its own, which can be frozen, killed and started again. It does not outlive the tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { pathOf, type Tool } from './tools.ts';
import { waitFor } from './wait-for.ts';

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

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(name);
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
