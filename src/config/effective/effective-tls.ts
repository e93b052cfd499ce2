/** TLS towards clients as a config file says it. */

import { isSecretField } from '../../snapshot/secret-field.ts';
import type { AcmeSettings, OnDemandSettings } from '../acme-settings.ts';
import type { CertificateSource } from '../certificates/certificate-facts.ts';
import type { ListenerSettings, TlsSettings } from '../settings.ts';
import { formatDuration } from '../values/duration.ts';

const HIDDEN_SECRET = '*'.repeat(16);

/** The short form. */
export function sslOf({ tls, http2 }: ListenerSettings) {
  const [source] = tls?.sources ?? [];
  return source === undefined ? { enabled: false } : { enabled: true, ...sourceOf(source), http2 };
}

export function tlsOf({
  sources,
  acme,
  refusesUnknownNames,
  clientCertificates,
  minVersion,
}: TlsSettings) {
  return {
    ...((acme === null || sources.length > 0) && { certificates: sources.map(sourceOf) }),
    ...(acme !== null && { acme: acmeOf(acme) }),
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

function acmeOf({ names, email, directoryUrl, caFile, challenge, ...more }: AcmeSettings) {
  const { dnsHook, externalAccount, onDemand, store } = more;
  return {
    ...(email !== '' && { email }),
    ...(names.length > 0 && { names }),
    ...(onDemand !== null && { on_demand: onDemandOf(onDemand) }),
    ca: directoryUrl,
    ...(caFile !== '' && { ca_file: caFile }),
    challenge,
    ...(dnsHook !== null && {
      dns_hook: {
        command: dnsHook.command,
        timeout: formatDuration(dnsHook.timeoutMs),
        wait: formatDuration(dnsHook.waitMs),
      },
    }),
    ...(externalAccount !== null && {
      external_account: { key_id: externalAccount.keyId, key: HIDDEN_SECRET },
    }),
    ...(store !== null && {
      store_file: store.file,
      ...(store.keyFile !== '' && { store_key_file: store.keyFile }),
      ...(store.key !== '' && { store_key: HIDDEN_SECRET }),
    }),
  };
}

function onDemandOf({ askUrl, timeoutMs, mostNames, mostOrdersPerHour }: OnDemandSettings) {
  return {
    ask: shownUrl(askUrl),
    timeout: formatDuration(timeoutMs),
    max_names: mostNames,
    max_orders_per_hour: mostOrdersPerHour,
  };
}

/** Without what is secret in its query. */
function shownUrl(text: string): string {
  const url = new URL(text);
  const secret = [...url.searchParams.keys()].filter(isSecretField);
  // Its query is written anew only where it has to be.
  for (const name of secret) url.searchParams.set(name, HIDDEN_SECRET);
  return url.href;
}
