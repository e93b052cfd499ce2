/** What handshakes with the backends of a pool have in common: who is trusted, what is shown, and for which name. */
import { isIP } from 'node:net';
import tls from 'node:tls';
import type { BackendTls } from '../../snapshot/snapshot.ts';
import { encodeProtocols, type HandshakeTerms } from './tls-handshake.ts';

export const PROTOCOLS: readonly string[] = ['http/1.1'];
const ENCODED_PROTOCOLS = encodeProtocols(PROTOCOLS);

let made = 0;

export class ClientTerms implements HandshakeTerms {
  readonly protocols: Uint8Array = ENCODED_PROTOCOLS;
  readonly verifies: boolean;
  /** Sessions that were begun on these terms are resumed on these alone. */
  readonly scope: string = `${made++} `;
  readonly #material: BackendTls | null;
  #context: tls.SecureContext | null = null;

  /** @param material null: whom this machine trusts. */
  constructor(material: BackendTls | null) {
    this.#material = material;
    this.verifies = material === null || material.verifies;
  }

  /** Dear to make: it holds the authorities that are trusted. */
  get context(): tls.SecureContext {
    this.#context ??= tls.createSecureContext(contextOptions(this.#material));
    return this.#context;
  }

  /** The name of a server, or its address, which its certificate must be good for. */
  nameOf(host: string): string {
    const { serverName = '' } = this.#material ?? {};
    return serverName === '' ? host : serverName;
  }
}

/** The same for every pool that says nothing of it. */
export const DEFAULT_TERMS = new ClientTerms(null);

function contextOptions(material: BackendTls | null): tls.SecureContextOptions {
  if (material === null) return {};
  const { ca, cert, key } = material;
  return { ...(ca === '' ? {} : { ca }), ...(cert === '' ? {} : { cert, key }) };
}

/** RFC 6066 §3: an address is no name that a server could be asked for. */
export function sniOf(name: string): string | undefined {
  return isIP(name) === 0 ? name : undefined;
}
