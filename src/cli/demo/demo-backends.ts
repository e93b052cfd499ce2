/**
 * The sample backends of the demo, each a process of its own, so that the reader can kill one and watch what happens.
 *
 * None outlives this process: `close` ends them, and should this process die without calling it, the broken channel
 * tells them to end. They are their own process groups, so that a Ctrl-C reaches only the proxy, which first
 * finishes its requests with the help of their backends.
 */
import { type ChildProcess, fork } from 'node:child_process';
import type { BackendListening } from '../backend.ts';

export interface DemoBackend {
  readonly name: string;
  readonly url: string;
  readonly port: number;
  readonly pid: number;
}

const EXIT_ADDRESS_IN_USE = 3;
const START_MS = 10_000;
const END_MS = 3_000;
const LAST_PORT = 65_535;

export class DemoBackends {
  readonly #command: string;
  readonly #children: ChildProcess[] = [];

  /** `command` is the file of the command line, which knows `backend`. */
  constructor(command: string) {
    this.#command = command;
  }

  /**
   * Starts one backend at the first free port from `firstPort` on that is not in `taken`. Rejects when there is none,
   * or when it does not start.
   */
  async start(name: string, firstPort: number, taken: ReadonlySet<number>): Promise<DemoBackend> {
    for (let port = firstPort; port <= LAST_PORT; port++) {
      if (taken.has(port)) continue;
      const backend = await this.#startAt(name, port);
      if (backend !== undefined) return backend;
    }
    throw new Error(`No port from ${firstPort} on is free for ${name}.`);
  }

  /** Undefined: the port is in use. */
  #startAt(name: string, port: number): Promise<DemoBackend | undefined> {
    const args = ['backend', '--host', '127.0.0.1', '--port', String(port), '--name', name];
    const child = fork(this.#command, args, {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#children.push(child);
    let complaint = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${name} did not start.`)), START_MS);
      child.once('error', reject);
      child.once('message', (message: BackendListening) => {
        clearTimeout(timer);
        resolve({ name, url: message.url, port: message.port, pid: child.pid as number });
      });
      child.once('close', (code) => {
        clearTimeout(timer);
        if (code === EXIT_ADDRESS_IN_USE) resolve(undefined);
        else reject(new Error(`${name} ended at its start: ${complaint.trim()}`));
      });
    });
  }

  /** Ends all that still run; resolves when they are gone. */
  async close(): Promise<void> {
    await Promise.all(this.#children.map(ended));
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
  clearTimeout(timer);
}
