/** Stands between a client and a server on loopback, and loses what a test wants to be lost. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterTest } from './after-test.ts';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

export class TcpProxy {
  readonly #listener: Server;
  readonly #pairs = new Set<Pair>();
  #isSilent = false;
  #cutAfter = { text: '', left: 0 };

  constructor(targetPort: number) {
    this.#listener = createServer((client) => this.#accept(client, targetPort));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  async start(): Promise<void> {
    this.#listener.listen(0, '127.0.0.1');
    await once(this.#listener, 'listening');
  }

  /** All connections are closed; new ones are taken. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  /** Connections stay open, new ones are taken, and nothing gets through: what is sent meanwhile is lost for good. */
  blackHole(isSilent: boolean): void {
    this.#isSilent = isSilent;
  }

  /** A connection whose server has said this is cut after it, so many times. */
  cutAfter(text: string, times: number): void {
    this.#cutAfter = { text, left: times };
  }

  /** How many of those cuts are yet to come. */
  get cutsLeft(): number {
    return this.#cutAfter.left;
  }

  async close(): Promise<void> {
    this.cut();
    this.#listener.close();
    await once(this.#listener, 'close');
  }

  #accept(client: Socket, targetPort: number): void {
    const server = connect(targetPort, '127.0.0.1');
    const pair = { client, server };
    this.#pairs.add(pair);
    client.on('data', (bytes) => {
      if (!this.#isSilent) server.write(bytes);
    });
    server.on('data', (bytes) => {
      if (this.#isSilent) return;
      client.write(bytes);
      const { text, left } = this.#cutAfter;
      if (left === 0 || !bytes.includes(text)) return;
      this.#cutAfter.left--;
      client.end();
      server.destroy();
    });
    for (const socket of [client, server]) {
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#pairs.delete(pair);
        client.destroySoon();
        server.destroySoon();
      });
    }
  }
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const proxy = new TcpProxy(targetPort);
  await proxy.start();
  afterTest(() => proxy.close());
  return proxy;
}
