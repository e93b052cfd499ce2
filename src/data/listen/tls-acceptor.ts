/**
 * The way of a TLS client from its accept to the end of its handshake.
 *
 * Its first byte is looked at before any of OpenSSL's machinery is set up for it: a TLS connection begins with a handshake
 * record, 22 (RFC 8446 §5.1), an HTTP request with a letter. Who speaks HTTP in the clear is handed back as such, to be told
 * so; who says nothing costs a handle and no more. Whatever fails here costs one connection.
 */
import { constants } from 'node:crypto';
import type net from 'node:net';
import tls from 'node:tls';
import type { TlsMaterial } from '../../snapshot/snapshot.ts';
import { awaitFirstBytes, awaitFirstBytesOfSocket } from '../stream/first-bytes.ts';
import type { TcpHandle } from '../stream/tcp-handles.ts';
import type { ThreadIo } from '../stream/thread-io.ts';

/** 10 s in all: from the accept to the first byte, which an honest client sends at once, and from there to the end. */
const FIRST_BYTE_MS = 5_000;
const HANDSHAKE_MS = 5_000;
const LETTER_A = 0x41;
const LETTER_Z = 0x5a;

/** What becomes of a connection. `client`: what it was accepted for. */
export interface TlsAcceptorUser {
  /** The handshake is done. The connection counts as a client's until its carrier closes. */
  onSecure(socket: tls.TLSSocket): void;
  /** It speaks HTTP in the clear; `bytes` are what it has said, borrowed. From a socket they have yet to be read. */
  onPlain(connection: TcpHandle | net.Socket, bytes: Buffer, client: string): void;
  /** It is gone. */
  onGone(client: string): void;
  onHandshakeFailed(): void;
  /** Makes the handle a socket, and gives that to `acceptSocket` within the call. */
  wrap(handle: TcpHandle): void;
}

interface SilentClient {
  readonly deadlineMs: number;
  readonly close: () => void;
  readonly client: string;
}

export class TlsAcceptor {
  readonly #user: TlsAcceptorUser;
  readonly #io: ThreadIo;
  readonly #server: tls.Server;
  /** Those that have not said a byte. */
  readonly #silent = new Set<SilentClient>();
  /** What TLS runs over, from the first byte on, each with the client that it counts for. */
  readonly #carriers = new Map<net.Socket, string>();
  #ticketKeys: Buffer;
  /** Of the handle that is being made a socket. */
  #wrapping: { readonly client: string; readonly bytes: Buffer } | null = null;

  constructor(material: TlsMaterial, ticketKeys: Uint8Array, io: ThreadIo, user: TlsAcceptorUser) {
    this.#user = user;
    this.#io = io;
    this.#ticketKeys = Buffer.from(ticketKeys);
    this.#server = tls.createServer({
      ...this.#contextOptions(material),
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: HANDSHAKE_MS,
    });
    this.#server.on('secureConnection', (socket) => user.onSecure(socket));
    // No request, so no line in the access log: a scanner would fill it. Counted, so that an operator can see it.
    this.#server.on('tlsClientError', (_error, socket) => {
      user.onHandshakeFailed();
      socket.destroy();
    });
  }

  setMaterial(material: TlsMaterial): void {
    this.#server.setSecureContext(this.#contextOptions(material));
  }

  setTicketKeys(keys: Uint8Array): void {
    this.#ticketKeys = Buffer.from(keys);
    this.#server.setTicketKeys(this.#ticketKeys);
  }

  #contextOptions(material: TlsMaterial): tls.SecureContextOptions & { ticketKeys: Buffer } {
    return {
      cert: material.cert,
      key: material.key,
      minVersion: 'TLSv1.2',
      // A handshake costs us more than a client: it gets one.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      ticketKeys: this.#ticketKeys,
    };
  }

  acceptHandle(handle: TcpHandle, client: string, nowMs: number): void {
    const silent: SilentClient = {
      client,
      deadlineMs: nowMs + FIRST_BYTE_MS,
      close: awaitFirstBytes(handle, this.#io, {
        onFirstBytes: (bytes) => {
          this.#silent.delete(silent);
          if (isPlain(bytes)) {
            this.#user.onPlain(handle, bytes, client);
            return;
          }
          this.#wrapping = { client, bytes: Buffer.from(bytes) };
          this.#user.wrap(handle);
          this.#wrapping = null;
        },
        onNothing: () => this.#leftSilently(silent),
      }),
    };
    this.#silent.add(silent);
  }

  /** @returns false if the socket is new: its client has yet to be admitted, and it to be given to `acceptSocket`. */
  acceptWrapped(socket: net.Socket): boolean {
    const wrapping = this.#wrapping;
    if (wrapping === null) return false;
    socket.unshift(wrapping.bytes);
    this.#startTls(socket, wrapping.client);
    return true;
  }

  acceptSocket(socket: net.Socket, client: string, nowMs: number): void {
    const silent: SilentClient = {
      client,
      deadlineMs: nowMs + FIRST_BYTE_MS,
      close: awaitFirstBytesOfSocket(socket, {
        onFirstBytes: (bytes) => {
          this.#silent.delete(silent);
          if (isPlain(bytes)) this.#user.onPlain(socket, bytes, client);
          else this.#startTls(socket, client);
        },
        onNothing: () => this.#leftSilently(silent),
      }),
    };
    this.#silent.add(silent);
  }

  #leftSilently(silent: SilentClient): void {
    this.#silent.delete(silent);
    this.#user.onGone(silent.client);
  }

  #startTls(carrier: net.Socket, client: string): void {
    this.#carriers.set(carrier, client);
    carrier.once('close', () => {
      if (this.#carriers.delete(carrier)) this.#user.onGone(client);
    });
    this.#server.emit('connection', carrier);
  }

  tick(nowMs: number): void {
    for (const silent of this.#silent) {
      if (silent.deadlineMs > nowMs) continue;
      this.#user.onHandshakeFailed();
      this.#end(silent);
    }
  }

  #end(silent: SilentClient): void {
    this.#silent.delete(silent);
    silent.close();
    this.#user.onGone(silent.client);
  }

  destroy(): void {
    for (const silent of this.#silent) this.#end(silent);
    for (const carrier of this.#carriers.keys()) carrier.destroy();
  }
}

/** Methods begin with a letter, and all that are in use with one of these. */
function isPlain(bytes: Buffer): boolean {
  const [first] = bytes;
  return first !== undefined && first >= LETTER_A && first <= LETTER_Z;
}
