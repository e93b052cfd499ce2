/** A health check in HTTP/2, over a connection that is open: what comes of it, as bytes of an HTTP/1.1 answer. */
import { connect, constants, type OutgoingHttpHeaders } from 'node:http2';
import type net from 'node:net';
import type tls from 'node:tls';
import { checkFields, checkHost, type ProbeRequest } from './check-request.ts';

/** For one connection only: RFC 9113 §8.2.2. */
export const OF_HTTP1: ReadonlySet<string> = new Set([
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
  const scheme = request.address.tls ? 'https' : 'http';
  const session = connect(`${scheme}://${checkHost(request)}`, {
    createConnection: () => socket,
    settings: { enablePush: false },
  });
  session.on('error', (error) => listener.onAnswerFailed(error));
  const stream = session.request(fieldsOf(request, scheme), { endStream: true });
  stream.on('error', (error) => listener.onAnswerFailed(error));
  stream.on('response', (fields) => {
    const status = fields[constants.HTTP2_HEADER_STATUS];
    listener.onAnswerBytes(Buffer.from(`HTTP/1.1 ${status}\r\n\r\n`));
  });
  stream.on('data', (bytes: Buffer) => listener.onAnswerBytes(bytes));
  stream.on('end', () => listener.onAnswerEnd());
}

function fieldsOf(request: ProbeRequest, scheme: string): OutgoingHttpHeaders {
  const fields: Record<string, string | string[]> = {
    [constants.HTTP2_HEADER_METHOD]: 'GET',
    [constants.HTTP2_HEADER_SCHEME]: scheme,
    [constants.HTTP2_HEADER_AUTHORITY]: checkHost(request),
    [constants.HTTP2_HEADER_PATH]: request.path,
  };
  for (const [name, value] of checkFields(request)) {
    const lower = name.toLowerCase();
    if (!OF_HTTP1.has(lower)) fields[lower] = value;
  }
  return fields;
}
