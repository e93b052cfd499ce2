/** A certificate that is served, and what it says of itself, as far as that matters. */
import type { X509Certificate } from 'node:crypto';

export interface CertificateFacts {
  /** Host names that it is good for, in lower case, `*.example.com` among them; those of its SAN and no others. */
  readonly names: readonly string[];
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  /** SHA-256, as 64 hexadecimal digits in lower case. */
  readonly fingerprint: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** As Node has it: `rsa`, `ec`, `ed25519`. Certificates with other keys for the same name can stand side by side. */
  readonly keyType: string;
  /** It asks for a stapled OCSP answer (RFC 7633): clients may refuse it without one. */
  readonly mustStaple: boolean;
  /** Where its issuer answers for it (RFC 5280 §4.2.2.1), over http; undefined: nowhere. */
  readonly ocspUrl: string | undefined;
}

/** Where certificates come from; paths are absolute. */
export type CertificateSource =
  | { readonly kind: 'pair'; readonly certFile: string; readonly keyFile: string }
  | { readonly kind: 'folder'; readonly folder: string };

export interface Certificate {
  /** PEM: the certificate with its chain, and its key. */
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly facts: CertificateFacts;
}

/** id-pe-tlsfeature, 1.3.6.1.5.5.7.1.24, as it stands in DER. */
const TLS_FEATURE = Buffer.from('06082b06010505070118', 'hex');
/** In it: a list with status_request, which is extension 5. */
const STATUS_REQUEST = Buffer.from('020105', 'hex');
const MOST_FEATURE_BYTES = 40;

const HOST_NAME =
  /^(?=.{1,253}$)(\*\.)?[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

export function certificateFacts(certificate: X509Certificate): CertificateFacts {
  const { subject, issuer, serialNumber, fingerprint256, validFrom, validTo } = certificate;
  return {
    names: namesOf(certificate),
    subject: oneLine(subject),
    issuer: oneLine(issuer),
    serial: serialNumber.toLowerCase(),
    fingerprint: fingerprint256.replaceAll(':', '').toLowerCase(),
    notBeforeMs: Date.parse(validFrom),
    notAfterMs: Date.parse(validTo),
    keyType: certificate.publicKey.asymmetricKeyType ?? 'unknown',
    mustStaple: asksForStapling(certificate.raw),
    ocspUrl: /^OCSP - URI:(http:\/\/\S+)$/m.exec(certificate.infoAccess ?? '')?.[1],
  };
}

/** RFC 6125 §6.4.4: the common name counts for nothing. */
function namesOf({ subjectAltName = '' }: X509Certificate): string[] {
  // Node writes a name with anything odd in it as a JSON text, so that it can't pass for two.
  const found = Array.from(
    subjectAltName.matchAll(/(?:^|, )DNS:("(?:[^"\\]|\\.)*"|[^,]*)/g),
    ([, name = '']) => name.toLowerCase(),
  );
  return [...new Set(found)].filter((name) => HOST_NAME.test(name));
}

function oneLine(name: string | undefined): string {
  return (name ?? '').split('\n').join(', ');
}

function asksForStapling(raw: Buffer): boolean {
  const start = raw.indexOf(TLS_FEATURE);
  return start !== -1 && raw.subarray(start, start + MOST_FEATURE_BYTES).includes(STATUS_REQUEST);
}
