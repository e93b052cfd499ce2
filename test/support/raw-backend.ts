import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterTest } from './after-test.ts';
import { RawClient } from './raw-client.ts';
import { waitFor } from './wait-for.ts';

/** One accepted connection: reads and writes as scripted, like the client at the other end. */
class RawConnection extends RawClient {
  /** Reads one request head. */
  readHead(ms?: number): Promise<string> {
    return this.readUntil('\r\n\r\n', ms);
  }
}

export type RawHandler = (connection: RawConnection, index: number) => void | Promise<void>;

export interface RawBackend {
  readonly port: number;
  readonly url: string;
  /** Every connection so far, in the order of their arrival, closed ones too. */
  readonly connections: readonly RawConnection[];
  /** What handlers threw: a script that met something else than it expected. */
  readonly errors: readonly unknown[];
  /** Every byte of every connection, as Latin-1 text. */
  received(): string;
  /** Waits for the connection with this index. */
  connection(index: number, ms?: number): Promise<RawConnection>;
  /** Resets every connection and stops listening. Done after the test anyway. */
  close(): Promise<void>;
}

/**
 * A scripted TCP server that records every byte. `handler` runs once per connection; when it throws, the connection
 * is reset. It half-closes or closes only when the script says so.
 */
export async function rawBackend(
  handler: RawHandler,
  { port: wanted = 0 }: { readonly port?: number } = {},
): Promise<RawBackend> {
  const connections: RawConnection[] = [];
  const errors: unknown[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const connection = new RawConnection(socket);
    connections.push(connection);
    void run(connection, connections.length - 1);
  });
  async function run(connection: RawConnection, index: number): Promise<void> {
    try {
      await handler(connection, index);
    } catch (error) {
      errors.push(error);
      connection.socket.destroy();
    }
  }
  async function close(): Promise<void> {
    if (!server.listening) return;
    for (const { socket } of connections) socket.destroy();
    server.close();
    await once(server, 'close');
  }
  server.listen(wanted, '127.0.0.1');
  afterTest(close);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    connections,
    errors,
    received: () => connections.map((connection) => connection.text).join(''),
    connection: (index, ms) => waitFor(() => connections[index], ms, `connection ${index}`),
    close,
  };
}

/** A script that answers every request head with the same bytes, for as long as the connection lasts. */
export function answering(response: string | Uint8Array): RawHandler {
  return async (connection) => {
    connection.socket.on('end', () => connection.end());
    try {
      for (;;) {
        await connection.readHead(60_000);
        await connection.write(response);
      }
    } catch (error) {
      if (!connection.isEnded) throw error;
    }
  };
}

/** A complete response with a Content-Length. */
export function okResponse(body = 'ok', fields: readonly string[] = []): string {
  return [
    'HTTP/1.1 200 OK',
    `Content-Length: ${Buffer.byteLength(body, 'latin1')}`,
    ...fields,
    '',
    body,
  ].join('\r\n');
}
