/**
 * The contract between the planes: what a certificate authority asks for to find out whether a name leads to us (RFC 8555 §8). Only
 * what has been asked for and is not answered yet is in it.
 */

/** Of HTTP-01: what is answered, by its token. */
export type HttpChallenges = ReadonlyMap<string, string>;

/** Of TLS-ALPN-01 (RFC 8737): the certificate that is shown to who asks for this name and for nothing but the protocol `acme-tls/1`. */
export interface TlsChallenge {
  readonly name: string;
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}
