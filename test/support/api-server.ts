/** A server of an API that a test answers for: on a port of 127.0.0.1, or at the path of a socket; its open answers are ended with the test. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterTest } from './after-test.ts';

export interface ApiServer {
  /** `http://127.0.0.1:PORT`, or `unix:PATH` */
  readonly url: string;
  /** Path and query of each request so far. */
  readonly asked: readonly string[];
  /** Cuts all connections, in the middle of whatever is said. */
  cut(): void;
}

export interface ApiServerOptions {
  readonly socketPath?: string;
  readonly tls?: { readonly cert: string; readonly key: string };
}

export type ApiHandler = (request: IncomingMessage, response: ServerResponse, url: URL) => void;

export async function apiServer(
  handler: ApiHandler,
  { socketPath, tls }: ApiServerOptions = {},
): Promise<ApiServer> {
  const asked: string[] = [];
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    const target = request.url ?? '/';
    asked.push(target);
    handler(request, response, new URL(target, 'http://api.test'));
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  if (socketPath === undefined) server.listen(0, '127.0.0.1');
  else server.listen(socketPath);
  await once(server, 'listening');
  afterTest(() => {
    server.closeAllConnections();
    server.close();
  });
  const scheme = tls === undefined ? 'http' : 'https';
  const at = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: socketPath === undefined ? at : `unix:${socketPath}`,
    asked,
    cut: () => server.closeAllConnections(),
  };
}
