/** A real redis-server on loopback, which can be killed, frozen and started again, empty, under the same address. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { afterTest } from './after-test.ts';
import { freePort } from './free-port.ts';
import { pathOf } from './tools.ts';
import { waitFor, within } from './wait-for.ts';

export class RedisServer {
  readonly port: number;
  readonly url: string;
  readonly #flags: readonly string[];
  #child: ChildProcess | undefined;
  readonly #killNow = (): void => void this.#child?.kill('SIGKILL');

  constructor(port: number, flags: readonly string[]) {
    this.port = port;
    this.url = `redis://127.0.0.1:${port}`;
    this.#flags = flags;
  }

  async start(): Promise<void> {
    const program = pathOf('redis-server') ?? 'redis-server';
    const own = [`--port ${this.port}`, '--bind 127.0.0.1', '--appendonly no'];
    const args = ['--save', '', ...[...own, ...this.#flags].flatMap((flag) => flag.split(' '))];
    const child = spawn(program, args, { stdio: 'ignore' });
    this.#child = child;
    process.on('exit', this.#killNow);
    await waitFor(async () => child.exitCode !== null || (await this.command('PING')) !== '');
    if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(name);
  }

  /** Nothing is kept: it starts empty. */
  async kill(): Promise<void> {
    const child = this.#child;
    process.off('exit', this.#killNow);
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  /** One inline command. @returns what comes first of the answer. */
  async command(line: string): Promise<string> {
    const socket = net.connect(this.port, '127.0.0.1');
    try {
      socket.write(`${line}\r\n`);
      const [data] = (await within(once(socket, 'data'), 2000, line)) as [Buffer];
      return data.toString();
    } finally {
      socket.destroy();
    }
  }
}

export async function startRedis(flags: readonly string[] = []): Promise<RedisServer> {
  const redis = new RedisServer(await freePort(), flags);
  afterTest(() => redis.kill());
  await redis.start();
  return redis;
}
