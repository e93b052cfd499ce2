/** What clients come by to a connection of a listener: where that is another one now, those who are connected are to come anew. */
import type { ListenerSnapshot, ProxyProtocol } from '../../snapshot/snapshot.ts';
import type { TlsSnapshot } from '../../snapshot/tls.ts';

type Terms = Pick<ListenerSnapshot, 'tls' | 'proxyProtocol' | 'httpsPort' | 'h2c'>;

/** Another certificate is none: a renewal sends nobody away. */
export function haveOtherTerms(one: Terms, other: Terms): boolean {
  return !(
    one.httpsPort === other.httpsPort &&
    one.h2c === other.h2c &&
    areSameProxies(one.proxyProtocol, other.proxyProtocol) &&
    isSameTls(one.tls, other.tls)
  );
}

function areSameProxies(one: ProxyProtocol | null, other: ProxyProtocol | null): boolean {
  if (one === null || other === null) return one === other;
  return (
    one.fromUnix === other.fromUnix &&
    one.from.length === other.from.length &&
    one.from.every((block, index) => block === other.from[index])
  );
}

function isSameTls(one: TlsSnapshot | undefined, other: TlsSnapshot | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return (
    one.minVersion === other.minVersion &&
    one.http2 === other.http2 &&
    one.refusesUnknownNames === other.refusesUnknownNames &&
    one.clientCertificates?.mode === other.clientCertificates?.mode &&
    one.clientCertificates?.ca === other.clientCertificates?.ca
  );
}
