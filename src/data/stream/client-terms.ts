/** What handshakes with the backends of a pool have in common: who is trusted, what is shown, for which name, and what is spoken. */
import { isIP } from 'node:net';
import tls from 'node:tls';
import type { BackendTls, ProtocolName } from '../../snapshot/snapshot.ts';
import { encodeProtocols, type HandshakeTerms } from './tls-handshake.ts';

/** As ALPN has them (RFC 7301 §6, RFC 9113 §3.2). */
export const ALPN_HTTP1 = 'http/1.1';
export const ALPN_HTTP2 = 'h2';

const OFFERED: Readonly<Record<ProtocolName, readonly string[]>> = {
  http1: [ALPN_HTTP1],
  h2: [ALPN_HTTP2],
  auto: [ALPN_HTTP2, ALPN_HTTP1],
};

let made = 0;

export class ClientTerms implements HandshakeTerms {
  readonly protocol: ProtocolName;
  /** The server may choose among them. */
  readonly offered: readonly string[];
  readonly protocols: Uint8Array;
  readonly verifies: boolean;
  /** Sessions that were begun on these terms are resumed on these alone. */
  readonly scope: string = `${made++} `;
  readonly #material: BackendTls | null;
  /** Has the same context. */
  readonly #parent: ClientTerms | null;
  #context: tls.SecureContext | null = null;
  #http1: ClientTerms | null = null;

  /** @param material null: whom this machine trusts. */
  constructor(
    material: BackendTls | null,
    protocol: ProtocolName = 'http1',
    parent: ClientTerms | null = null,
  ) {
    this.protocol = protocol;
    this.offered = OFFERED[protocol];
    this.protocols = encodeProtocols(this.offered);
    this.#material = material;
    this.#parent = parent;
    this.verifies = material === null || material.verifies;
  }

  /** Dear to make: it holds the authorities that are trusted. */
  get context(): tls.SecureContext {
    this.#context ??=
      this.#parent?.context ?? tls.createSecureContext(contextOptions(this.#material));
    return this.#context;
  }

  /** The same, but for a connection that has to speak HTTP/1.1. */
  get forHttp1(): ClientTerms {
    if (this.protocol === 'http1') return this;
    this.#http1 ??= new ClientTerms(this.#material, 'http1', this);
    return this.#http1;
  }

  /** Whether these are the same, whatever was offered. */
  isOf(terms: ClientTerms): boolean {
    return terms === this || terms === this.#parent;
  }

  /** The name of a server, or its address, which its certificate must be good for. */
  nameOf(host: string): string {
    const { serverName = '' } = this.#material ?? {};
    return serverName === '' ? host : serverName;
  }
}

/** The same for every pool that says nothing of it. */
export const DEFAULT_TERMS = new ClientTerms(null);

const PLAIN_TERMS: Readonly<Record<ProtocolName, ClientTerms>> = {
  http1: DEFAULT_TERMS,
  h2: new ClientTerms(null, 'h2'),
  auto: new ClientTerms(null, 'auto'),
};

/** @param material null: whom this machine trusts. */
export function clientTerms(material: BackendTls | null, protocol: ProtocolName): ClientTerms {
  return material === null ? PLAIN_TERMS[protocol] : new ClientTerms(material, protocol);
}

function contextOptions(material: BackendTls | null): tls.SecureContextOptions {
  if (material === null) return {};
  const { ca, cert, key } = material;
  return { ...(ca === '' ? {} : { ca }), ...(cert === '' ? {} : { cert, key }) };
}

/** RFC 6066 §3: an address is no name that a server could be asked for. */
export function sniOf(name: string): string | undefined {
  return isIP(name) === 0 ? name : undefined;
}
