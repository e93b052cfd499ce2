/** A backend on node:http2, with TLS or by prior knowledge. */
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterTest } from './after-test.ts';

export type Http2Handler = (
  stream: http2.ServerHttp2Stream,
  fields: http2.IncomingHttpHeaders,
) => void;

export interface Http2BackendOptions {
  readonly settings?: http2.Settings;
  /** With these, TLS; `allowHTTP1` lets clients choose. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** In place of a port. */
  readonly socketPath?: string;
}

export interface Http2Backend {
  readonly url: string;
  readonly port: number;
  readonly server: http2.Http2Server | http2.Http2SecureServer;
  /** Those that have carried a request, in the order of the first of it; closed ones, too. */
  readonly sessions: readonly http2.ServerHttp2Session[];
  /** Requests so far, as `METHOD path`. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** Without a handler it answers everything with 200 `ok`. */
export async function http2Backend(
  handler: Http2Handler = (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('ok');
  },
  { settings = {}, tls, socketPath }: Http2BackendOptions = {},
): Promise<Http2Backend> {
  const sessions: http2.ServerHttp2Session[] = [];
  const all = new Set<http2.ServerHttp2Session>();
  const requests: string[] = [];
  const server =
    tls === undefined
      ? http2.createServer({ settings })
      : http2.createSecureServer({ settings, ...tls });
  server.on('session', (session: http2.ServerHttp2Session) => {
    all.add(session);
    session.on('error', () => {});
  });
  server.on('stream', (stream: http2.ServerHttp2Stream, fields: http2.IncomingHttpHeaders) => {
    stream.on('error', () => {});
    const { session } = stream;
    if (session !== undefined && !sessions.includes(session as http2.ServerHttp2Session)) {
      sessions.push(session as http2.ServerHttp2Session);
    }
    requests.push(`${fields[':method']} ${fields[':path']}`);
    handler(stream, fields);
  });
  // What is no HTTP/2, or ends in its middle, is the test's to notice.
  server.on('sessionError', () => {});
  server.on('clientError', () => {});
  async function close(): Promise<void> {
    if (!server.listening) return;
    server.close();
    for (const session of all) session.destroy();
    await once(server, 'close');
  }
  if (socketPath === undefined) server.listen(0, '127.0.0.1');
  else server.listen(socketPath);
  afterTest(close);
  await once(server, 'listening');
  const port = socketPath === undefined ? (server.address() as AddressInfo).port : 0;
  const scheme = tls === undefined ? 'http://127.0.0.1' : 'https://localhost';
  const url = socketPath === undefined ? `${scheme}:${port}` : `unix:${socketPath}`;
  return { url, port, server, sessions, requests, close };
}

/** The whole body of a request. */
export async function bodyOf(stream: http2.ServerHttp2Stream): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
