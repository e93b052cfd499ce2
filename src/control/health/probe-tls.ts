/** TLS of health checks: on the terms of requests, see data/stream/client-terms.ts. */
import { isIP } from 'node:net';
import tls from 'node:tls';
import type { BackendTls, ProtocolName } from '../../snapshot/snapshot.ts';

/** Dear to make; as long as the settings are in force. */
const contexts = new WeakMap<BackendTls, tls.SecureContext>();

export interface ProbeTerms {
  readonly tls: BackendTls | null;
  readonly protocol: ProtocolName;
}

const OFFERED: Readonly<Record<ProtocolName, readonly string[]>> = {
  http1: ['http/1.1'],
  h2: ['h2'],
  auto: ['h2', 'http/1.1'],
};

/** @param host of the URL, a name or an address. */
export function tlsOptions(
  host: string,
  { tls: terms, protocol }: ProbeTerms,
): tls.ConnectionOptions {
  const name = terms === null || terms.serverName === '' ? host : terms.serverName;
  return {
    ...(terms !== null && { secureContext: contextOf(terms), rejectUnauthorized: terms.verifies }),
    ...(isIP(name) === 0 && { servername: name }),
    checkServerIdentity: (_asked, certificate) => tls.checkServerIdentity(name, certificate),
    ALPNProtocols: [...OFFERED[protocol]],
  };
}

function contextOf(terms: BackendTls): tls.SecureContext {
  let context = contexts.get(terms);
  if (context === undefined) {
    const { ca, cert, key } = terms;
    context = tls.createSecureContext({
      ...(ca !== '' && { ca }),
      ...(cert !== '' && { cert, key }),
    });
    contexts.set(terms, context);
  }
  return context;
}
