/** A backend over TLS that remembers who has come, and how. */
import { once } from 'node:events';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterTest } from './after-test.ts';
import type { Signed } from './authority.ts';

export class TlsBackend {
  readonly server: Server;
  /** Of each connection. */
  readonly reused: boolean[] = [];
  readonly names: unknown[] = [];
  readonly closed: Promise<unknown>[] = [];
  /** Of each request: whose certificate was shown. */
  readonly clients: unknown[] = [];
  port = 0;

  constructor(signed: Signed, options: ServerOptions = {}, fields: Record<string, string> = {}) {
    this.server = createServer(
      { ...signed, keepAliveTimeout: 60_000, ...options },
      (request, response) => {
        this.clients.push((request.socket as TLSSocket).getPeerCertificate().subject?.CN);
        for (const [name, value] of Object.entries(fields)) response.setHeader(name, value);
        response.end('ok');
      },
    );
    this.server.on('secureConnection', (socket: TLSSocket) => {
      this.reused.push(socket.isSessionReused());
      this.names.push((socket as unknown as { servername: unknown }).servername);
      this.closed.push(once(socket, 'close'));
    });
    this.server.on('tlsClientError', () => {});
  }

  async listen(): Promise<this> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    afterTest(() => {
      this.server.closeAllConnections();
      this.server.close();
    });
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }
}
