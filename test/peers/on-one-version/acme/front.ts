/** An address that an authority asks, and that leads to one of several instances. */
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { afterTest } from '../../../support/after-test.ts';

/** What stands before all instances: it leads to one of them, or lets everybody wait. */
export class Front {
  to: number | undefined;
  readonly #server = net.createServer((client) => {
    client.on('error', () => {});
    if (this.to === undefined) this.#waiting.push(client);
    else connectTo(client, this.to);
  });
  readonly #waiting: Socket[] = [];

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    afterTest(() => void this.#server.close());
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  leadTo(port: number): void {
    this.to = port;
    for (const client of this.#waiting.splice(0)) connectTo(client, port);
  }
}

function connectTo(client: Socket, port: number): void {
  const server = net.connect(port, '127.0.0.1');
  server.on('error', () => client.destroy());
  client.on('error', () => server.destroy());
  client.pipe(server).pipe(client);
}
