/**
 * The way of a TLS client from its accept to the end of its handshake.
 *
 * Its first byte is looked at before any of OpenSSL's machinery is set up for it: a TLS connection begins with a handshake
 * record, 22 (RFC 8446 §5.1), an HTTP request with a letter. Who speaks HTTP in the clear is handed back as such, to be told
 * so; who says nothing costs a handle and no more. Whatever fails here costs one connection.
 */
import { constants } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import type { TlsMaterial } from '../../snapshot/snapshot.ts';
import { letGo } from '../barrier.ts';
import type { ByteStream, StreamUser } from '../stream/byte-stream.ts';
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
  acceptTls,
  encodeProtocols,
  type HandshakeTerms,
  type HandshakeUser,
} from '../stream/tls-handshake.ts';
import { TlsStream } from '../stream/tls-stream.ts';
import { renewTickets } from '../stream/tls-tickets.ts';
import type { MayBeIdle } from './idle-clients.ts';

/** 10 s in all: from the accept to the first byte, which an honest client sends at once, and from there to the end. */
const FIRST_BYTE_MS = 5_000;
const HANDSHAKE_MS = 5_000;
const SESSION_ID_CONTEXT = 'fairlead';
const LETTER_A = 0x41;
const LETTER_Z = 0x5a;

/** What is offered and accepted of ALPN (RFC 7301). */
const PROTOCOLS: readonly string[] = ['http/1.1'];
const PROTOCOL_LIST = encodeProtocols(PROTOCOLS);

/** Node's, but AES-128 before AES-256: it costs less and is as safe. See docs/decisions/0013-tls-on-the-handle.md. */
const CIPHERS = withFirst('TLS_AES_128_GCM_SHA256', tls.DEFAULT_CIPHERS);

/** What becomes of a connection. `client`: what it was accepted for. */
export interface TlsAcceptorUser {
  /** The handshake is done. `client` is null where the connection counts as a client's until its carrier closes. */
  onSecure(secure: Secure, client: string | null): void;
  /** It speaks HTTP in the clear; `bytes` are what it has said, borrowed. From a socket they have yet to be read. */
  onPlain(connection: TcpHandle | net.Socket, bytes: Buffer, client: string): void;
  /** It is gone. */
  onGone(client: string): void;
  onHandshakeFailed(): void;
  /** An exception has cost one connection; it is closed. */
  onCrashed(error: unknown): void;
  /** Makes the handle a socket, and gives that to `acceptSocket` within the call. */
  wrap(handle: TcpHandle): void;
}

/** A connection on which TLS has been agreed. */
export interface Secure {
  open(user: StreamUser): ByteStream;
  close(): void;
}

export class TlsAcceptor {
  readonly #user: TlsAcceptorUser;
  readonly #io: ThreadIo;
  /** Those on the way, but for handshakes on sockets. */
  readonly arriving = new Set<Arrival>();
  /** The sockets that TLS runs over where it does not run on handles, each with the client that it counts for. */
  readonly #carriers = new Map<net.Socket, string>();
  #material: TlsMaterial;
  #ticketKeys: Buffer;
  #terms: HandshakeTerms | null = null;
  /** Made when it is needed: for handshakes on sockets. */
  #server: tls.Server | null = null;
  /** Of the handle that is being made a socket. */
  #wrapping: { readonly arrival: Arrival; readonly bytes: Buffer } | null = null;

  constructor(material: TlsMaterial, ticketKeys: Uint8Array, io: ThreadIo, user: TlsAcceptorUser) {
    this.#user = user;
    this.#io = io;
    this.#material = material;
    this.#ticketKeys = Buffer.from(ticketKeys);
  }

  /** Nobody is on the way. */
  get isEmpty(): boolean {
    return this.arriving.size === 0 && this.#carriers.size === 0;
  }

  setMaterial(material: TlsMaterial): void {
    this.#material = material;
    this.#terms = null;
    this.#server?.setSecureContext(this.#contextOptions());
  }

  setTicketKeys(keys: Uint8Array): void {
    this.#ticketKeys = Buffer.from(keys);
    this.#terms = null;
    this.#server?.setTicketKeys(this.#ticketKeys);
  }

  #contextOptions(): tls.SecureContextOptions & { ticketKeys: Buffer } {
    return {
      cert: this.#material.cert,
      key: this.#material.key,
      minVersion: 'TLSv1.2',
      honorCipherOrder: true,
      ciphers: CIPHERS,
      // A handshake costs us more than a client: it gets one. Who asks for ChaCha20 first has no AES in its processor.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_PRIORITIZE_CHACHA,
      ticketKeys: this.#ticketKeys,
      // A ticket is good wherever its keys are.
      sessionIdContext: SESSION_ID_CONTEXT,
    };
  }

  /** Those of the next handshake. */
  #currentTerms(): HandshakeTerms {
    if (this.#terms === null) {
      const context = tls.createSecureContext(this.#contextOptions());
      renewTickets(context, this.#ticketKeys);
      this.#terms = { context, protocols: PROTOCOL_LIST };
    }
    return this.#terms;
  }

  /** Where this throws, the client is still the caller's. */
  acceptHandle(handle: TcpHandle, client: string, nowMs: number): void {
    const arrival = new Arrival(this, handle, client, nowMs + FIRST_BYTE_MS);
    this.#await(arrival, () => awaitFirstBytes(handle, this.#io, arrival));
  }

  acceptSocket(socket: net.Socket, client: string, nowMs: number): void {
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
    this.#startOnSocket(socket, wrapping.arrival);
    return true;
  }

  // ── What an arrival says ────────────────────────────────────────────────────────────────────────────────────────

  onFirstBytes(arrival: Arrival, bytes: Buffer): void {
    const { connection } = arrival;
    if (isPlain(bytes)) {
      this.#user.onPlain(connection, bytes, arrival.client);
      this.arriving.delete(arrival);
    } else if (connection instanceof net.Socket) {
      this.#startOnSocket(connection, arrival);
    } else if (hasTlsHandles()) {
      arrival.deadlineMs += HANDSHAKE_MS;
      const copy = Buffer.from(bytes);
      arrival.close = acceptTls(connection, this.#currentTerms(), copy, this.#io, arrival);
    } else {
      this.#wrapping = { arrival, bytes: Buffer.from(bytes) };
      try {
        this.#user.wrap(connection);
      } finally {
        this.#wrapping = null;
      }
    }
  }

  onSecure(arrival: Arrival, handle: TlsHandle): void {
    const secure: Secure = {
      open: (user) => new TlsStream(handle, user, this.#io),
      close: () => closeTls(handle),
    };
    this.#user.onSecure(secure, arrival.client);
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

  #startOnSocket(carrier: net.Socket, arrival: Arrival): void {
    const { client } = arrival;
    this.#carriers.set(carrier, client);
    this.arriving.delete(arrival);
    carrier.once('close', () => {
      if (!this.#carriers.delete(carrier)) return;
      this.#guard(carrier, () => this.#user.onGone(client));
    });
    this.#server ??= this.#makeServer();
    this.#server.emit('connection', carrier);
  }

  #makeServer(): tls.Server {
    const server = tls.createServer({
      ...this.#contextOptions(),
      ALPNProtocols: [...PROTOCOLS],
      handshakeTimeout: HANDSHAKE_MS,
    });
    server.on('secureConnection', (socket) => {
      socket.allowHalfOpen = true;
      const secure: Secure = {
        open: (user) => new SocketStream(socket, user, false),
        close: () => void socket.destroy(),
      };
      this.#guard(socket, () => this.#user.onSecure(secure, null));
    });
    // No request, so no line in the access log: a scanner would fill it. Counted, so that an operator can see it.
    server.on('tlsClientError', (_error, socket) => {
      socket.destroy();
      this.#guard(socket, () => this.#user.onHandshakeFailed());
    });
    return server;
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
  readonly client: string;
  deadlineMs: number;
  /** Closes it, silently. */
  close: () => void = () => {};
  readonly hasServed = false;
  readonly #acceptor: TlsAcceptor;

  constructor(
    acceptor: TlsAcceptor,
    connection: TcpHandle | net.Socket,
    client: string,
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

/** @param ciphers in which another one may be first; one that is not among them stays out. */
function withFirst(first: string, ciphers: string): string {
  const names = ciphers.split(':');
  if (!names.includes(first)) return ciphers;
  return [first, ...names.filter((name) => name !== first)].join(':');
}

/** Methods begin with a letter, and all that are in use with one of these. */
function isPlain(bytes: Buffer): boolean {
  const [first] = bytes;
  return first !== undefined && first >= LETTER_A && first <= LETTER_Z;
}
