/**
 * What clients are served with over TLS, by the name that they ask for: a site is a group of certificates with what follows from it
 * and from the settings of the listener. Its contexts are made when they are first needed, and live until something about them is
 * another: a thousand certificates cost nothing at a reload but for those that have changed.
 *
 * Sessions: a ticket is good wherever its keys are, in all threads; but a session is resumed only where it could have begun
 * (`sessionContext`). Otherwise a ticket of a listener that asks for no client certificate would open one that requires it: nginx's
 * CVE-2025-23419.
 */
import { constants, createHash } from 'node:crypto';
import { isIP } from 'node:net';
import tls from 'node:tls';
import type { TlsChallenge } from '../../snapshot/challenges.ts';
import type { CertificateGroup, TlsSnapshot } from '../../snapshot/tls.ts';
import { ALPN_HTTP1, ALPN_HTTP2 } from '../stream/client-terms.ts';
import { type AcceptTerms, encodeProtocols } from '../stream/tls-handshake.ts';
import { renewTickets } from '../stream/tls-tickets.ts';
import type { ClientHello } from '../wire/client-hello.ts';
import { AskedNames } from './asked-names.ts';

/** What is offered and accepted of ALPN (RFC 7301), the first that both have. */
const HTTP1: readonly string[] = [ALPN_HTTP1];
const HTTP2: readonly string[] = [ALPN_HTTP2, ALPN_HTTP1];
/** RFC 8737 §3 */
const ACME: readonly string[] = ['acme-tls/1'];

/**
 * Mozilla's intermediate profile: forward secrecy and authenticated encryption only. AES-128 before AES-256, which costs more and is as
 * safe: see docs/decisions/0013-tls-on-the-handle.md.
 */
const CIPHERS = knownOf([
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
]);
/** The hybrid, safe from quantum computers, where OpenSSL has it (3.5). */
const CURVES = ['X25519MLKEM768:X25519:P-256:P-384', 'X25519:P-256:P-384'];
let curves: string | undefined;

const NONE = { names: [] };

/** One group of certificates under the settings of its listener. */
export class TlsSite {
  readonly group: CertificateGroup;
  /** It is for who asks whether a name leads here: nothing is said on its connections but the handshake. */
  readonly isForValidation: boolean;
  readonly #protocols: readonly string[];
  readonly #tls: TlsSnapshot;
  #ticketKeys: Buffer;
  #terms: AcceptTerms | null = null;
  /** For handshakes on sockets; whoever makes it looks after it. */
  server: tls.Server | null = null;

  constructor(
    group: CertificateGroup,
    settings: TlsSnapshot,
    ticketKeys: Buffer,
    isForValidation = false,
  ) {
    this.group = group;
    this.isForValidation = isForValidation;
    this.#protocols = isForValidation ? ACME : settings.http2 ? HTTP2 : HTTP1;
    this.#tls = settings;
    this.#ticketKeys = ticketKeys;
  }

  /** Those of the next handshake. */
  get terms(): AcceptTerms {
    if (this.#terms === null) {
      const context = tls.createSecureContext(this.contextOptions());
      renewTickets(context, this.#ticketKeys);
      const { staple } = this.group;
      const { clientCertificates } = this.#tls;
      this.#terms = {
        context,
        protocols: encodeProtocols(this.#protocols),
        clientCertificates: clientCertificates?.mode ?? 'none',
        staple: staple === null ? null : Buffer.from(staple),
      };
    }
    return this.#terms;
  }

  setTicketKeys(keys: Buffer): void {
    this.#ticketKeys = keys;
    this.#terms = null;
    this.server = null;
  }

  contextOptions(): tls.SecureContextOptions & { ticketKeys: Buffer; ALPNProtocols: string[] } {
    const { pairs } = this.group;
    const { clientCertificates, minVersion } = this.#tls;
    return {
      cert: pairs.map(({ cert }) => cert),
      key: pairs.map(({ key }) => key),
      ...(clientCertificates !== null && { ca: clientCertificates.ca }),
      minVersion: minVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
      honorCipherOrder: true,
      ciphers: CIPHERS,
      ecdhCurve: knownCurves(),
      // A handshake costs us more than a client: it gets one. Who asks for ChaCha20 first has no AES in its processor.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_PRIORITIZE_CHACHA,
      ticketKeys: this.#ticketKeys,
      sessionIdContext: sessionContext(this.#tls, this.group),
      ALPNProtocols: [...this.#protocols],
    };
  }

  isSameAs(group: CertificateGroup, settings: TlsSnapshot): boolean {
    const [one, other] = [this.#tls, settings];
    return (
      one.minVersion === other.minVersion &&
      one.http2 === other.http2 &&
      one.clientCertificates?.mode === other.clientCertificates?.mode &&
      one.clientCertificates?.ca === other.clientCertificates?.ca &&
      isSameGroup(this.group, group)
    );
  }
}

export class TlsSites {
  #tls: TlsSnapshot;
  #ticketKeys: Buffer;
  #all: TlsSite[] = [];
  /** Null: its certificate is still to come. */
  readonly #byName = new Map<string, TlsSite | null>();
  /** By what stands behind `*.`. */
  readonly #byWildcard = new Map<string, TlsSite | null>();
  readonly #challenges = new Map<string, TlsSite>();
  readonly #asked = new AskedNames();

  constructor(settings: TlsSnapshot, ticketKeys: Uint8Array) {
    this.#tls = settings;
    this.#ticketKeys = Buffer.from(ticketKeys);
    this.set(settings);
  }

  /** Whether it matters which name a client asks for. */
  get needsName(): boolean {
    const { refusesUnknownNames, onDemand, awaitedNames } = this.#tls;
    const isPlain = this.#all.length === 1 && this.#challenges.size === 0;
    return !isPlain || refusesUnknownNames || onDemand !== null || awaitedNames.length > 0;
  }

  /** Null: there is no certificate yet. */
  get default(): TlsSite | null {
    return this.#all[0] ?? null;
  }

  /** @returns null: the client is refused. */
  chosenBy({ name, isValidation }: ClientHello): TlsSite | null {
    const challenge = isValidation ? this.#challenges.get(name) : undefined;
    const site = challenge ?? this.of(name);
    if (site === null && this.#tls.onDemand !== null) this.#asked.add(name);
    return site;
  }

  /** Names that were asked for in vain since the last call, and whom to tell them to; null: none. */
  takeAsked(): { readonly group: string; readonly names: readonly string[] } | null {
    const names = this.#asked.take();
    const { onDemand: group } = this.#tls;
    return group === null || names.length === 0 ? null : { group, names };
  }

  /** @param name in lower case, empty for none. @returns null: the client is refused. */
  of(name: string): TlsSite | null {
    const exact = this.#byName.get(name);
    if (exact !== undefined) return exact;
    // RFC 6125 §6.4.3: one label.
    const dot = name.indexOf('.');
    const wildcard = dot > 0 ? this.#byWildcard.get(name.slice(dot + 1)) : undefined;
    if (wildcard !== undefined) return wildcard;
    const { refusesUnknownNames, onDemand } = this.#tls;
    return refusesUnknownNames || (onDemand !== null && name !== '') ? null : this.default;
  }

  /**
   * Whether a request for this host may come on a connection that this site was chosen for: its own name would have led there (RFC
   * 9110 §7.4). Nothing else could be said of one that comes on a connection to another name, as HTTP/2 lets clients send it.
   */
  serves({ group }: TlsSite, host: string): boolean {
    if (!this.needsName) return true;
    const colon = host.lastIndexOf(':');
    const name = colon > host.lastIndexOf(']') ? host.slice(0, colon) : host;
    // Who connects to an address names none (RFC 6066 §3): no name is missing that could be fetched on demand.
    const isAddress = this.#tls.onDemand !== null && isIP(name.replace(/^\[|\]$/g, '')) !== 0;
    const { names } = this.of(isAddress ? '' : name.toLowerCase())?.group ?? NONE;
    return names === group.names || names.join() === group.names.join();
  }

  set(settings: TlsSnapshot): void {
    const before = new Map(this.#all.map((site) => [site.group.names.join(), site]));
    this.#tls = settings;
    this.#all = settings.groups.map((group) => {
      const known = before.get(group.names.join());
      return known?.isSameAs(group, settings) === true
        ? known
        : new TlsSite(group, settings, this.#ticketKeys);
    });
    this.#byName.clear();
    this.#byWildcard.clear();
    for (const name of settings.awaitedNames) this.#setName(name, null);
    for (const site of this.#all) {
      for (const name of site.group.names) this.#setName(name, site);
    }
    this.#challenges.clear();
    for (const one of settings.challenges) {
      this.#challenges.set(one.name, validationSite(one, settings, this.#ticketKeys));
    }
  }

  #setName(name: string, site: TlsSite | null): void {
    if (name.startsWith('*.')) this.#byWildcard.set(name.slice(2), site);
    else this.#byName.set(name, site);
  }

  setTicketKeys(keys: Uint8Array): void {
    this.#ticketKeys = Buffer.from(keys);
    for (const site of this.#all) site.setTicketKeys(this.#ticketKeys);
  }
}

function validationSite(
  { name, cert, key }: TlsChallenge,
  settings: TlsSnapshot,
  ticketKeys: Buffer,
): TlsSite {
  // Its name is nobody's, so that no session of it is resumed elsewhere.
  const group = { names: [`${ACME[0]} ${name}`], pairs: [{ cert, key }], staple: null };
  return new TlsSite(group, { ...settings, clientCertificates: null }, ticketKeys, true);
}

function isSameGroup(one: CertificateGroup, other: CertificateGroup): boolean {
  return (
    one.pairs.length === other.pairs.length &&
    one.pairs.every(
      ({ cert, key }, index) =>
        cert === other.pairs[index]?.cert && key === other.pairs[index]?.key,
    ) &&
    isSameStaple(one.staple, other.staple)
  );
}

function isSameStaple(one: Uint8Array | null, other: Uint8Array | null): boolean {
  if (one === null || other === null) return one === other;
  return Buffer.compare(one, other) === 0;
}

/**
 * Where a session may be resumed: where the same is asked of clients, under the same names. The certificates themselves are not in it,
 * so that sessions outlive their renewal.
 */
function sessionContext(
  { clientCertificates }: TlsSnapshot,
  { names: [firstName = ''] }: CertificateGroup,
): string {
  const parts = [clientCertificates?.mode ?? 'none', clientCertificates?.ca ?? '', firstName];
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 32);
}

function knownOf(ciphers: readonly string[]): string {
  const all = new Set(tls.getCiphers());
  return ciphers.filter((name) => all.has(name.toLowerCase())).join(':');
}

function knownCurves(): string {
  curves ??= CURVES.find((ecdhCurve) => {
    try {
      tls.createSecureContext({ ecdhCurve });
      return true;
    } catch {
      return false;
    }
  });
  return curves ?? 'auto';
}
