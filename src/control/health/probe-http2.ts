/** A health check in HTTP/2, over a connection that is open: what comes of it, as bytes of an HTTP/1.1 answer. */
import { type ClientHttp2Stream, connect, constants, type OutgoingHttpHeaders } from 'node:http2';
import type net from 'node:net';
import type tls from 'node:tls';
import { checkFields, checkHost, type ProbeRequest } from './check-request.ts';

/** For one connection only: RFC 9113 §8.2.2. */
const OF_HTTP1: ReadonlySet<string> = new Set([
  'connection',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

export interface Http2Listener {
  /** A part of the answer, as HTTP/1.1 has it. */
  onAnswerBytes(bytes: Buffer): void;
  /** There is no more of it. */
  onAnswerEnd(): void;
  onAnswerFailed(error: Error): void;
}

/** Whether the connection is for HTTP/2; undefined: it is not, and has to be. */
export function speaksHttp2(
  { protocol, address }: ProbeRequest,
  socket: net.Socket,
): boolean | undefined {
  if (!address.tls || protocol === 'http1') return protocol === 'h2';
  if ((socket as tls.TLSSocket).alpnProtocol === 'h2') return true;
  return protocol === 'h2' ? undefined : false;
}

/** Ends with its connection. */
export function askInHttp2(
  request: ProbeRequest,
  socket: net.Socket,
  listener: Http2Listener,
): void {
  const stream = requestInHttp2(request, socket, listener, 'GET', request.path);
  stream.on('response', (fields) => {
    const status = fields[constants.HTTP2_HEADER_STATUS];
    listener.onAnswerBytes(Buffer.from(`HTTP/1.1 ${status}\r\n\r\n`));
  });
  stream.on('data', (bytes: Buffer) => listener.onAnswerBytes(bytes));
  stream.on('end', () => listener.onAnswerEnd());
}

/**
 * A request with the fields of the check: over once its connection is. A GET is ended, another one is the caller's to end.
 * @param more in place of fields of these names; undefined: none
 */
export function requestInHttp2(
  request: ProbeRequest,
  socket: net.Socket,
  listener: Pick<Http2Listener, 'onAnswerFailed'>,
  method: 'GET' | 'POST',
  path: string,
  more: OutgoingHttpHeaders = {},
): ClientHttp2Stream {
  const onFailed = (error: Error): void => listener.onAnswerFailed(error);
  const scheme = request.address.tls ? 'https' : 'http';
  const session = connect(`${scheme}://${checkHost(request)}`, {
    createConnection: () => socket,
    settings: { enablePush: false },
  });
  session.on('error', onFailed);
  const fields: OutgoingHttpHeaders = {
    [constants.HTTP2_HEADER_METHOD]: method,
    [constants.HTTP2_HEADER_SCHEME]: scheme,
    [constants.HTTP2_HEADER_AUTHORITY]: checkHost(request),
    [constants.HTTP2_HEADER_PATH]: path,
  };
  for (const [name, value] of checkFields(request)) {
    const lower = name.toLowerCase();
    if (!OF_HTTP1.has(lower)) fields[lower] = value;
  }
  const stream = session.request({ ...fields, ...more }, { endStream: method === 'GET' });
  stream.on('error', onFailed);
  return stream;
}
