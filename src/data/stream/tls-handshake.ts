/** The handshake of a TLS connection on Node's handle, up to the stream that comes of it. */
import type { SecureContext } from 'node:tls';
import type { Victim } from '../barrier.ts';
import { readResult, type TcpHandle } from './tcp-handles.ts';
import type { ThreadIo } from './thread-io.ts';
import { closeTls, listenTo, type TlsHandle, wrapHandle } from './tls-handles.ts';

/** One of the three is called, once, unless the handshake is given up before. */
export interface HandshakeUser extends Victim {
  /** The handle is the user's. */
  onSecure(handle: TlsHandle): void;
  /** The connection is closed; the peer has left, or one of the two sides does not like what it has seen. */
  onHandshakeFailed(): void;
}

/** What the two sides have in common in each handshake of a kind. */
export interface HandshakeTerms {
  readonly context: SecureContext;
  /** As they stand in the extension: RFC 7301 §3.1. */
  readonly protocols: Uint8Array;
}

/** What `HandshakeTerms.protocols` are made of. */
export function encodeProtocols(names: readonly string[]): Uint8Array {
  return Buffer.concat(names.map((name) => Buffer.from(String.fromCharCode(name.length) + name)));
}

/**
 * Takes a client's handshake.
 * @param firstBytes what was read of it; copied if needed.
 * @returns what gives it up and closes the connection, silently.
 */
export function acceptTls(
  carrier: TcpHandle,
  terms: HandshakeTerms,
  firstBytes: Buffer,
  io: ThreadIo,
  user: HandshakeUser,
): () => void {
  const handle = wrapHandle(carrier, terms.context, true);
  const handshake = new Handshake(handle, user);
  handle.setVerifyMode(false, false);
  handle.setALPNProtocols(terms.protocols);
  handle.useUserBuffer(io.shared);
  handle.receive(firstBytes);
  if (!handshake.isOver) handle.readStart();
  return () => handshake.giveUp();
}

class Handshake {
  isOver = false;
  readonly #handle: TlsHandle;
  readonly #user: HandshakeUser;

  constructor(handle: TlsHandle, user: HandshakeUser) {
    this.#handle = handle;
    this.#user = user;
    handle.onread = () => {
      if (readResult() < 0) this.#fail();
      return undefined;
    };
    listenTo(
      handle,
      () => this.#fail(),
      () => this.#finish(),
    );
  }

  giveUp(): void {
    if (this.isOver) return;
    this.isOver = true;
    closeTls(this.#handle);
  }

  #fail(): void {
    if (this.isOver) return;
    this.giveUp();
    try {
      this.#user.onHandshakeFailed();
    } catch (error) {
      this.#user.onCrashed(error);
    }
  }

  #finish(): void {
    if (this.isOver) return;
    this.isOver = true;
    try {
      this.#user.onSecure(this.#handle);
    } catch (error) {
      this.#user.onCrashed(error);
      closeTls(this.#handle);
    }
  }
}
