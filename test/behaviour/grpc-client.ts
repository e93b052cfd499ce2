/** Calls of gRPC as a client makes them, on node:http2. */
import type http2 from 'node:http2';
import { LONG_MS, within } from '../support/wait-for.ts';

const END_STREAM = 1;

/** A message as gRPC frames it: not compressed, its length, its bytes. */
export function message(text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

export function call(
  session: http2.ClientHttp2Session,
  path: string,
  fields: http2.OutgoingHttpHeaders = {},
): http2.ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...fields,
  });
  stream.on('error', () => {});
  return stream;
}

export interface Ended {
  /** Of the head; empty: there was none. */
  readonly fields: http2.IncomingHttpHeaders;
  /** The head was all of it. */
  readonly isTrailersOnly: boolean;
  readonly body: Buffer;
  /** In the trailers, or in a head that is all of it. */
  readonly status: number | undefined;
  readonly message: string;
  /** Of RST_STREAM. */
  readonly code: number;
}

export async function endOf(stream: http2.ClientHttp2Stream): Promise<Ended> {
  const parts: Buffer[] = [];
  let fields: http2.IncomingHttpHeaders = {};
  let trailers: http2.IncomingHttpHeaders = {};
  let isTrailersOnly = false;
  stream.on('data', (part: Buffer) => parts.push(part));
  stream.on('response', (head, flags) => {
    fields = head;
    isTrailersOnly = (flags & END_STREAM) !== 0;
  });
  stream.on('trailers', (head) => {
    trailers = head;
  });
  // `once` would reject with the error that some calls end with.
  const closed = new Promise((resolve) => stream.on('close', resolve));
  await within(closed, LONG_MS, 'the end of a call');
  const last = isTrailersOnly ? fields : trailers;
  const status = last['grpc-status'];
  return {
    fields,
    isTrailersOnly,
    body: Buffer.concat(parts),
    status: status === undefined ? undefined : Number(status),
    message: decodeURIComponent(String(last['grpc-message'] ?? '')),
    code: stream.rstCode ?? 0,
  };
}
