/**
 * The way of a TLS client from its accept to the end of its handshake.
 *
 * Its first byte is looked at before any of OpenSSL's machinery is set up for it: a TLS connection begins with a handshake
 * record, 22 (RFC 8446 §5.1), an HTTP request with a letter. Who speaks HTTP in the clear is handed back as such, to be told
 * so; who says nothing costs a handle and no more. Whatever fails here costs one connection.
 */
import net from 'node:net';
import tls from 'node:tls';
import type { TlsSnapshot } from '../../snapshot/tls.ts';
import { letGo } from '../barrier.ts';
import { ALPN_HTTP2 } from '../stream/client-terms.ts';
import {
  awaitFirstBytes,
  awaitFirstBytesOfSocket,
  type FirstBytesUser,
} from '../stream/first-bytes.ts';
import { SocketStream } from '../stream/socket-stream.ts';
import type { TcpHandle } from '../stream/tcp-handles.ts';
import type { ThreadIo } from '../stream/thread-io.ts';
import { closeTls, hasTlsHandles, type TlsHandle } from '../stream/tls-handles.ts';
import {
  ALERT_ILLEGAL_PARAMETER,
  ALERT_UNRECOGNIZED_NAME,
  acceptTls,
  type HandshakeUser,
  refuseTls,
} from '../stream/tls-handshake.ts';
import { ClientHello } from '../wire/client-hello.ts';
import type { ProxiedClient } from '../wire/proxy-protocol.ts';
import { identityOf } from './client-certificate.ts';
import { leavesAtMs } from './drain-turns.ts';
import type { MayBeIdle } from './idle-clients.ts';
import { type Secure, secureOnHandle } from './secure.ts';
import { type TlsSite, TlsSites } from './tls-sites.ts';

/** 10 s in all: from the accept to the first byte, which an honest client sends at once, and from there to the end. */
const FIRST_BYTE_MS = 5_000;
const HANDSHAKE_MS = 5_000;
const LETTER_A = 0x41;
const LETTER_Z = 0x5a;

/** Whom a connection is for. */
export interface Client {
  /** Which of the listener’s it has come to. */
  readonly terms: number;
  /** What it counts for: see `Places`. */
  readonly network: string;
  /** What a proxy has said of it; null: the peer is the client. */
  readonly proxied: ProxiedClient | null;
}

/** What becomes of a connection. `client`: what it was accepted for. */
export interface TlsAcceptorUser {
  /** The handshake is done. `isCarried`: the connection counts as a client's until its carrier closes. */
  onSecure(secure: Secure, client: Client, isCarried: boolean): void;
  /** It speaks HTTP in the clear; `bytes` are what it has said, borrowed. From a socket they have yet to be read. */
  onPlain(connection: TcpHandle | net.Socket, bytes: Buffer, client: Client): void;
  /** It is gone. */
  onGone(client: Client): void;
  onHandshakeFailed(): void;
  /** An exception has cost one connection; it is closed. */
  onCrashed(error: unknown): void;
  /** Makes the handle a socket, and gives that to `acceptSocket` within the call. */
  wrap(handle: TcpHandle): void;
}

export class TlsAcceptor {
  readonly #user: TlsAcceptorUser;
  readonly #io: ThreadIo;
  /** Those on the way, but for handshakes on sockets. */
  readonly arriving = new Set<Arrival>();
  /** The sockets that TLS runs over where it does not run on handles, each with the client that it counts for. */
  readonly #carriers = new Map<net.Socket, Client>();
  readonly sites: TlsSites;
  /** Of the handle that is being made a socket. */
  #wrapping: {
    readonly arrival: Arrival;
    readonly site: TlsSite;
    readonly bytes: Buffer;
  } | null = null;

  constructor(settings: TlsSnapshot, ticketKeys: Uint8Array, io: ThreadIo, user: TlsAcceptorUser) {
    this.#user = user;
    this.#io = io;
    this.sites = new TlsSites(settings, ticketKeys);
  }

  /** Nobody is on the way. */
  get isEmpty(): boolean {
    return this.arriving.size === 0 && this.#carriers.size === 0;
  }

  /** For handshakes from now on. */
  set(settings: TlsSnapshot): void {
    this.sites.set(settings);
  }

  setTicketKeys(keys: Uint8Array): void {
    this.sites.setTicketKeys(keys);
  }

  /**
   * Where this throws, the client is still the caller's.
   * @param read what has been read already.
   */
  acceptHandle(handle: TcpHandle, client: Client, nowMs: number, read: Buffer | null): void {
    const arrival = new Arrival(this, handle, client, nowMs + FIRST_BYTE_MS);
    if (read === null || read.length === 0) {
      this.#await(arrival, () => awaitFirstBytes(handle, this.#io, arrival));
    } else {
      arrival.close = () => handle.close();
      this.arriving.add(arrival);
      try {
        this.onFirstBytes(arrival, read);
      } catch (error) {
        this.arriving.delete(arrival);
        throw error;
      }
    }
  }

  acceptSocket(socket: net.Socket, client: Client, nowMs: number): void {
    const arrival = new Arrival(this, socket, client, nowMs + FIRST_BYTE_MS);
    this.#await(arrival, () => awaitFirstBytesOfSocket(socket, arrival));
  }

  #await(arrival: Arrival, start: () => () => void): void {
    this.arriving.add(arrival);
    try {
      arrival.close = start();
    } catch (error) {
      this.arriving.delete(arrival);
      throw error;
    }
  }

  /** @returns false if the socket is new: its client has yet to be admitted, and it to be given to `acceptSocket`. */
  acceptWrapped(socket: net.Socket): boolean {
    const wrapping = this.#wrapping;
    if (wrapping === null) return false;
    socket.unshift(wrapping.bytes);
    this.#startOnSocket(socket, wrapping.arrival, wrapping.site);
    return true;
  }

  // ── What an arrival says ────────────────────────────────────────────────────────────────────────────────────────

  onFirstBytes(arrival: Arrival, bytes: Buffer): void {
    if (arrival.hello === null && isPlain(bytes)) {
      this.#user.onPlain(arrival.connection, bytes, arrival.client);
      this.arriving.delete(arrival);
      return;
    }
    const site = this.#siteFor(arrival, bytes);
    if (site === null) this.#awaitMore(arrival);
    else if (typeof site === 'number') this.#refuse(arrival, site);
    else this.#start(arrival, site, bytes);
  }

  /** @returns null: that can't be said yet. A number: the alert to refuse it with. */
  #siteFor(arrival: Arrival, bytes: Buffer): TlsSite | number | null {
    const sites = this.sites;
    if (arrival.hello === null && !sites.needsName && sites.default !== null) return sites.default;
    arrival.hello ??= new ClientHello();
    const { hello } = arrival;
    hello.read(bytes);
    if (hello.state === 'begun') return null;
    if (hello.state === 'unfit') return ALERT_ILLEGAL_PARAMETER;
    return sites.chosenBy(hello) ?? ALERT_UNRECOGNIZED_NAME;
  }

  #awaitMore(arrival: Arrival): void {
    const { connection } = arrival;
    if (connection instanceof net.Socket) {
      // They were put back.
      connection.read();
      arrival.close = awaitFirstBytesOfSocket(connection, arrival);
    } else {
      arrival.close = awaitFirstBytes(connection, this.#io, arrival);
    }
  }

  #refuse(arrival: Arrival, alert: number): void {
    refuseTls(arrival.connection, alert);
    this.onHandshakeFailed(arrival);
  }

  /** @param bytes what was read last */
  #start(arrival: Arrival, site: TlsSite, bytes: Buffer): void {
    const { connection, hello } = arrival;
    const all = hello === null ? bytes : hello.bytes;
    if (connection instanceof net.Socket) {
      if (hello !== null) connection.unshift(hello.bytesBefore);
      this.#startOnSocket(connection, arrival, site);
    } else if (hasTlsHandles()) {
      arrival.deadlineMs += HANDSHAKE_MS;
      arrival.site = site;
      const copy = Buffer.from(all);
      arrival.close = acceptTls(connection, site.terms, copy, this.#io, arrival);
    } else {
      this.#wrapping = { arrival, site, bytes: Buffer.from(all) };
      try {
        this.#user.wrap(connection);
      } finally {
        this.#wrapping = null;
      }
    }
  }

  onSecure(arrival: Arrival, handle: TlsHandle): void {
    const site = arrival.site as TlsSite;
    if (site.isForValidation) {
      // With TLS 1.2 the last word is ours, and still has to leave.
      setImmediate(() => closeTls(handle));
      this.onGone(arrival);
      return;
    }
    const serves = (host: string): boolean => this.sites.serves(site, host);
    const secure = secureOnHandle(handle, site, this.#io, serves);
    this.#user.onSecure(secure, arrival.client, false);
    this.arriving.delete(arrival);
  }

  onHandshakeFailed(arrival: Arrival): void {
    this.#user.onHandshakeFailed();
    this.onGone(arrival);
  }

  /** Its connection is closed. */
  onGone(arrival: Arrival): void {
    if (this.arriving.delete(arrival)) this.#user.onGone(arrival.client);
  }

  onCrashed(arrival: Arrival, error: unknown): void {
    this.#user.onCrashed(error);
    letGo(() => this.onGone(arrival));
  }

  // ── Handshakes on sockets ───────────────────────────────────────────────────────────────────────────────────────

  #startOnSocket(carrier: net.Socket, arrival: Arrival, site: TlsSite): void {
    const { client } = arrival;
    this.#carriers.set(carrier, client);
    this.arriving.delete(arrival);
    carrier.once('close', () => {
      if (this.#carriers.delete(carrier)) this.#guard(carrier, () => this.#user.onGone(client));
    });
    site.server ??= this.#makeServer(site);
    site.server.emit('connection', carrier);
  }

  #makeServer(site: TlsSite): tls.Server {
    const { clientCertificates, staple } = site.terms;
    const server = tls.createServer({
      ...site.contextOptions(),
      requestCert: clientCertificates !== 'none',
      rejectUnauthorized: clientCertificates === 'require',
      handshakeTimeout: HANDSHAKE_MS,
    });
    if (staple !== null) {
      server.on(
        'OCSPRequest',
        (_certificate, _issuer, answer: (error: null, with_: Buffer) => void) =>
          answer(null, staple),
      );
    }
    server.on('secureConnection', (socket) => {
      if (site.isForValidation) {
        socket.end();
        return;
      }
      socket.allowHalfOpen = true;
      const { authorizationError: error = null } = socket as { authorizationError?: unknown };
      const fault = error === null ? null : Object.assign(new Error(), { code: String(error) });
      const secure: Secure = {
        identity:
          clientCertificates === 'none' ? null : identityOf(socket.getPeerCertificate(), fault),
        needsCertificate: false,
        isHttp2: socket.alpnProtocol === ALPN_HTTP2,
        serves: (host) => this.sites.serves(site, host),
        open: (user) => new SocketStream(socket, user, false),
        close: () => void socket.destroy(),
      };
      this.#guard(socket, () => this.#user.onSecure(secure, this.#clientOf(socket), true));
    });
    // No request, so no line in the access log: a scanner would fill it. Counted, so that an operator can see it.
    server.on('tlsClientError', (_error, socket) => {
      socket.destroy();
      this.#guard(socket, () => this.#user.onHandshakeFailed());
    });
    return server;
  }

  /** @throws if it is not known: to take the peer for the client would be wrong. */
  #clientOf(socket: tls.TLSSocket): Client {
    const { _parent: carrier } = socket as unknown as { readonly _parent?: net.Socket };
    const client = carrier === undefined ? undefined : this.#carriers.get(carrier);
    if (client === undefined) throw new Error('a TLS connection without its carrier');
    return client;
  }

  #guard(socket: net.Socket, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#user.onCrashed(error);
      socket.destroy();
    }
  }

  // ── Time, and the end ───────────────────────────────────────────────────────────────────────────────────────────

  tick(nowMs: number): void {
    for (const arrival of this.arriving) {
      if (arrival.deadlineMs > nowMs) continue;
      this.#user.onHandshakeFailed();
      this.end(arrival);
    }
  }

  endSilent(nowMs: number): void {
    const silent = Array.from(this.arriving).filter(({ hello, site }) => (hello ?? site) === null);
    for (const arrival of silent) if (leavesAtMs(arrival, nowMs) <= nowMs) this.end(arrival);
  }

  end(arrival: Arrival): void {
    arrival.close();
    this.onGone(arrival);
  }

  destroy(): void {
    for (const arrival of this.arriving) this.end(arrival);
    for (const carrier of this.#carriers.keys()) carrier.destroy();
  }
}

/** A connection from its accept to the end of its handshake. */
class Arrival implements FirstBytesUser, HandshakeUser, MayBeIdle {
  readonly connection: TcpHandle | net.Socket;
  readonly client: Client;
  deadlineMs: number;
  /** Its first message, where that says something about its site. */
  hello: ClientHello | null = null;
  /** Once its handshake has begun. */
  site: TlsSite | null = null;
  /** Closes it, silently. */
  close: () => void = () => {};
  readonly hasServed = false;
  readonly #acceptor: TlsAcceptor;

  constructor(
    acceptor: TlsAcceptor,
    connection: TcpHandle | net.Socket,
    client: Client,
    deadlineMs: number,
  ) {
    this.#acceptor = acceptor;
    this.connection = connection;
    this.client = client;
    this.deadlineMs = deadlineMs;
  }

  /** Once its handshake has begun, it has the time of a first byte for that, too. */
  get idleSinceMs(): number {
    return this.deadlineMs - FIRST_BYTE_MS;
  }

  makeRoom(): boolean {
    this.#acceptor.end(this);
    return true;
  }

  onFirstBytes(bytes: Buffer): void {
    this.#acceptor.onFirstBytes(this, bytes);
  }

  onNothing(): void {
    this.#acceptor.onGone(this);
  }

  onSecure(handle: TlsHandle): void {
    this.#acceptor.onSecure(this, handle);
  }

  onHandshakeFailed(): void {
    this.#acceptor.onHandshakeFailed(this);
  }

  onCrashed(error: unknown): void {
    this.#acceptor.onCrashed(this, error);
  }
}

/** Methods begin with a letter, and all that are in use with one of these. */
function isPlain(bytes: Buffer): boolean {
  const [first] = bytes;
  return first !== undefined && first >= LETTER_A && first <= LETTER_Z;
}
