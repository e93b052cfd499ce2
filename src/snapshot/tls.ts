/** The contract between the planes: TLS towards clients. PEM throughout; everything is known to work. */
import type { TlsChallenge } from './challenges.ts';

export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
}

/** Certificates that are served side by side, each with a key of another type: the client's algorithms decide. */
export interface CertificateGroup {
  /** The host names that get them, in lower case; `*.example.com` is for one label in its place. */
  readonly names: readonly string[];
  readonly pairs: readonly TlsMaterial[];
  /** An OCSP answer that goes with the certificate (RFC 6066 §8); null: none. */
  readonly staple: Uint8Array | null;
}

export interface TlsSnapshot {
  /** The first is the default. None: there are only names whose certificates are still to come, and everybody is refused. */
  readonly groups: readonly CertificateGroup[];
  /** Clients that ask for a name of no group, or for none, are refused. */
  readonly refusesUnknownNames: boolean;
  /** Names whose certificates are still to come: who asks for one is refused, and does not get the default. */
  readonly awaitedNames: readonly string[];
  /** Names that no group is for may get one: who asks for one is refused, and told of with this. Null: none may. */
  readonly onDemand: string | null;
  /** Of all listeners. */
  readonly challenges: readonly TlsChallenge[];
  /** Null: clients are not asked for certificates. */
  readonly clientCertificates: {
    readonly mode: 'request' | 'require';
    readonly ca: string;
  } | null;
  readonly minVersion: '1.2' | '1.3';
  /** Clients may choose HTTP/2 (ALPN `h2`). */
  readonly http2: boolean;
}
