import type { CertificateSource } from '../../src/config/certificates/certificate-facts.ts';
import { readCertificates } from '../../src/config/certificates/tls-files.ts';
import type { TlsSettings } from '../../src/config/settings.ts';

/** What `ssl` with this pair means. */
export function tlsSettings(pair: {
  readonly cert_file: string;
  readonly key_file: string;
}): TlsSettings {
  const source: CertificateSource = {
    kind: 'pair',
    certFile: pair.cert_file,
    keyFile: pair.key_file,
  };
  return {
    sources: [source],
    certificates: readCertificates(source).certificates,
    acme: null,
    refusesUnknownNames: false,
    clientCertificates: null,
    minVersion: '1.2',
  };
}
