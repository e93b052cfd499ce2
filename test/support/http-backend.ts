import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterTest } from './after-test.ts';

export interface HttpBackend {
  readonly port: number;
  readonly url: string;
  readonly server: Server;
  /** Requests so far, as `METHOD path`; health checks are among them. */
  readonly requests: readonly string[];
  /** Resets every connection and stops listening. Done after the test anyway. */
  close(): Promise<void>;
}

/** A backend on node:http, at a port of 127.0.0.1. Without a handler it answers everything with 200 `ok`. */
export async function httpBackend(
  handler: RequestListener = (_request, response) => {
    response.end('ok');
  },
  { port = 0, host = '127.0.0.1' }: { port?: number; host?: string } = {},
): Promise<HttpBackend> {
  const requests: string[] = [];
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    handler(request, response);
  });
  async function close(): Promise<void> {
    if (!server.listening) return;
    server.closeAllConnections();
    server.close();
    // Upgraded sockets are no longer the server's: whoever upgrades them closes them.
    await once(server, 'close');
  }
  server.listen(port, host);
  afterTest(close);
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}`,
    server,
    requests,
    close,
  };
}
