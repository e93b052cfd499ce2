/** TLS towards clients as a config file says it. */

import type { CertificateSource } from './certificate-facts.ts';
import type { ListenerSettings, TlsSettings } from './settings.ts';

/** The short form. */
export function sslOf({ tls, http2 }: ListenerSettings) {
  const [source] = tls?.sources ?? [];
  return source === undefined ? { enabled: false } : { enabled: true, ...sourceOf(source), http2 };
}

export function tlsOf({
  sources,
  refusesUnknownNames,
  clientCertificates,
  minVersion,
}: TlsSettings) {
  return {
    certificates: sources.map(sourceOf),
    unknown_name: refusesUnknownNames ? 'refuse' : 'default',
    client_certificates:
      clientCertificates === null
        ? { mode: 'none' }
        : { mode: clientCertificates.mode, ca_file: clientCertificates.caFile },
    min_version: minVersion,
  };
}

function sourceOf(source: CertificateSource) {
  return source.kind === 'folder'
    ? { folder: source.folder }
    : { cert_file: source.certFile, key_file: source.keyFile };
}
