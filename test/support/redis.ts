/** A real redis-server on loopback, which can be killed, frozen and started again, empty, under the same address. */
import { once } from 'node:events';
import net from 'node:net';
import { afterTest } from './after-test.ts';
import { freePort } from './free-port.ts';
import { ServerProcess } from './server-process.ts';
import { within } from './wait-for.ts';

export class RedisServer {
  readonly port: number;
  readonly url: string;
  readonly #flags: readonly string[];
  readonly #process = new ServerProcess('redis-server');

  constructor(port: number, flags: readonly string[]) {
    this.port = port;
    this.url = `redis://127.0.0.1:${port}`;
    this.#flags = flags;
  }

  async start(): Promise<void> {
    const own = [`--port ${this.port}`, '--bind 127.0.0.1', '--appendonly no'];
    const args = ['--save', '', ...[...own, ...this.#flags].flatMap((flag) => flag.split(' '))];
    await this.#process.start(args, async () => (await this.command('PING')) !== '');
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process.signal(name);
  }

  /** Nothing is kept: it starts empty. */
  kill(): Promise<void> {
    return this.#process.kill();
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
