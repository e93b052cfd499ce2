/** Machines that a test can cut off: network namespaces on one bridge. Needs root, and `ip`. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterTest } from '../../../support/after-test.ts';

const NETWORK = '10.77.13';

function ip(...words: readonly string[]): void {
  execFileSync('ip', words, { stdio: 'pipe' });
}

/** Undefined: they can be made, by a process that may make a bridge and what hangs on it. */
export function whyNoNamespaces(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are of Linux';
  if (process.getuid?.() !== 0) return 'only root may make network namespaces';
  const name = `flprobe${process.pid}`;
  try {
    ip('netns', 'add', name);
  } catch (error) {
    return `network namespaces can't be made: ${(error as Error).message}`;
  }
  try {
    ip('netns', 'delete', name);
    ip('link', 'add', name, 'type', 'bridge');
    ip('link', 'delete', name);
    return undefined;
  } catch (error) {
    return `bridges can't be made: ${(error as Error).message}`;
  }
}

export class Machine {
  readonly name: string;
  readonly address: string;
  readonly #cable: string;
  readonly #bridge: string;
  readonly #children = new Set<ChildProcess>();

  constructor(bridge: string, number: number) {
    this.name = `${bridge}n${number}`;
    this.address = `${NETWORK}.${number}`;
    this.#cable = `${bridge}v${number}`;
    this.#bridge = bridge;
  }

  begin(): void {
    ip('netns', 'add', this.name);
    ip('link', 'add', this.#cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.name);
    ip('link', 'set', this.#cable, 'master', this.#bridge, 'up');
    ip('-n', this.name, 'address', 'add', `${this.address}/24`, 'dev', 'eth0');
    ip('-n', this.name, 'link', 'set', 'eth0', 'up');
    ip('-n', this.name, 'link', 'set', 'lo', 'up');
  }

  /** Nobody hears of it: packets are lost in silence. */
  cutOff(): void {
    ip('link', 'set', this.#cable, 'nomaster');
  }

  connect(): void {
    ip('link', 'set', this.#cable, 'master', this.#bridge);
  }

  start(command: string, args: readonly string[], cwd: string): ChildProcess {
    const words = ['netns', 'exec', this.name, command, ...args];
    const child = spawn('ip', words, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.resume();
    child.stderr.resume();
    this.#children.add(child);
    return child;
  }

  /** What a program there prints. */
  run(command: string, args: readonly string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.name, command, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** A namespace lives on in the processes that are in it. */
  async end(): Promise<void> {
    await Promise.all(
      [...this.#children].map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      }),
    );
    for (const words of [
      ['link', 'delete', this.#cable],
      ['netns', 'delete', this.name],
    ]) {
      try {
        ip(...words);
      } catch {
        // It had not come so far.
      }
    }
  }
}

export function machinesOn(bridge: string, count: number): Machine[] {
  ip('link', 'add', bridge, 'type', 'bridge');
  afterTest(() => ip('link', 'delete', bridge));
  ip('link', 'set', bridge, 'up');
  return Array.from({ length: count }, (_, index) => {
    const machine = new Machine(bridge, index + 1);
    afterTest(() => machine.end());
    machine.begin();
    return machine;
  });
}
