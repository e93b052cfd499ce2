/** What has come of a TLS handshake. */
import type { ByteStream, StreamUser } from '../stream/byte-stream.ts';
import { ALPN_HTTP2 } from '../stream/client-terms.ts';
import type { ThreadIo } from '../stream/thread-io.ts';
import { closeTls, type TlsHandle } from '../stream/tls-handles.ts';
import { TlsStream } from '../stream/tls-stream.ts';
import { type ClientIdentity, identityOf } from './client-certificate.ts';
import type { TlsSite } from './tls-sites.ts';

/** A connection on which TLS has been agreed. */
export interface Secure {
  /** What the client has shown; null: it was not asked to. */
  readonly identity: ClientIdentity | null;
  /** It had to show a certificate that is good. */
  readonly needsCertificate: boolean;
  /** It has chosen HTTP/2. */
  readonly isHttp2: boolean;
  /** See `TlsSites.serves`. */
  serves(host: string): boolean;
  open(user: StreamUser): ByteStream;
  close(): void;
}

/** Where TLS runs on Node's handle. @param serves see `Secure`. */
export function secureOnHandle(
  handle: TlsHandle,
  { terms: { clientCertificates } }: TlsSite,
  io: ThreadIo,
  serves: Secure['serves'],
): Secure {
  return {
    identity:
      clientCertificates === 'none'
        ? null
        : identityOf(handle.getPeerCertificate(false), handle.verifyError()),
    needsCertificate: clientCertificates === 'require',
    isHttp2: handle.getALPNNegotiatedProtocol() === ALPN_HTTP2,
    serves,
    open: (user) => new TlsStream(handle, user, io),
    close: () => closeTls(handle),
  };
}
