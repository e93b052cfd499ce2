/** What has come of a TLS handshake. */
import type { ByteStream, StreamUser } from '../stream/byte-stream.ts';
import type { ClientIdentity } from './client-certificate.ts';

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
