/** The handshake of a TLS connection on Node's handle, up to the stream that comes of it. */
import net from 'node:net';
import tls from 'node:tls';
import type { Victim } from '../barrier.ts';
import {
  describeError,
  END_OF_FILE,
  readResult,
  type TcpHandle,
  writeBuffer,
} from './tcp-handles.ts';
import type { ThreadIo } from './thread-io.ts';
import { closeTls, listenTo, type TlsHandle, wrapHandle } from './tls-handles.ts';

/** One of the three is called, once, unless the handshake is given up before. */
export interface HandshakeUser extends Victim {
  /** The handle is the user's. */
  onSecure(handle: TlsHandle): void;
  /** The connection is closed; the peer has left, or one of the two sides does not like what it has seen. */
  onHandshakeFailed(error: NodeJS.ErrnoException): void;
}

/** What the two sides have in common in each handshake of a kind. */
export interface HandshakeTerms {
  readonly context: tls.SecureContext;
  /** As they stand in the extension: RFC 7301 §3.1. */
  readonly protocols: Uint8Array;
}

/** At the client, also how the server is known: see client-terms.ts. */
export interface ServerTerms extends HandshakeTerms {
  readonly verifies: boolean;
  readonly scope: string;
  nameOf(host: string): string;
}

/** At the server, what clients are asked for and given. */
export interface AcceptTerms extends HandshakeTerms {
  /** With `require` a client that has none is refused; whether the one that it has is any good is not looked at. */
  readonly clientCertificates: 'none' | 'request' | 'require';
  /** An OCSP answer for the certificate. */
  readonly staple: Buffer | null;
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
  terms: AcceptTerms,
  firstBytes: Buffer,
  io: ThreadIo,
  user: HandshakeUser,
): () => void {
  const handle = wrapHandle(carrier, terms.context, true);
  const handshake = new Handshake(handle, user);
  const { clientCertificates, staple } = terms;
  handle.setVerifyMode(clientCertificates !== 'none', clientCertificates === 'require');
  if (staple !== null) handle.setOCSPResponse(staple);
  handle.setALPNProtocols(terms.protocols);
  handle.useUserBuffer(io.shared);
  handle.receive(firstBytes);
  if (!handshake.isOver) handle.readStart();
  return () => handshake.giveUp();
}

/** Why a connection is refused before its handshake: RFC 8446 §6.2. */
export const ALERT_ILLEGAL_PARAMETER = 47;
export const ALERT_UNRECOGNIZED_NAME = 112;

/** Closes a connection before its handshake, with a fatal alert as a record (RFC 8446 §6). */
export function refuseTls(connection: TcpHandle | net.Socket, description: number): void {
  const alert = Buffer.from([21, 3, 3, 0, 2, 2, description]);
  if (connection instanceof net.Socket) {
    connection.end(alert, () => connection.destroy());
    return;
  }
  // So few bytes are taken at once by a connection that nothing was written to yet.
  writeBuffer(connection, alert);
  connection.close();
}

/**
 * Begins a handshake with a server, whose certificate must be good for its name.
 * @returns as `acceptTls`.
 */
export function beginTls(
  carrier: TcpHandle,
  terms: ServerTerms,
  server: { readonly host: string; readonly port: number },
  io: ThreadIo,
  user: HandshakeUser,
): () => void {
  const name = terms.nameOf(server.host);
  const { sessions } = io;
  const key = `${terms.scope}${name} ${server.host}:${server.port}`;
  const handle = wrapHandle(carrier, terms.context, false);
  // A session is good for a handshake without a certificate, so it is kept once that has been found good. TLS 1.2 gives it
  // before the certificate is looked at, and a server of TLS 1.3 may send tickets along with its own last message: those
  // come after, also from a server that was refused.
  let isGood = false;
  let early: Buffer | null = null;
  const session = sessions.take(key);
  const keep = (latest: Buffer): void => {
    sessions.keep(key, latest, isTls13(handle));
  };
  const handshake = new Handshake(handle, user, () => {
    const wrong = terms.verifies ? whatIsWrong(handle, name) : undefined;
    if (wrong !== undefined) {
      sessions.forget(key);
      return wrong;
    }
    isGood = true;
    if (session !== undefined && handle.isSessionReused() && isTls13(handle)) {
      sessions.giveBack(key, session);
    }
    if (early !== null) keep(early);
    return undefined;
  });
  handle.setVerifyMode(true, true);
  handle.setALPNProtocols(terms.protocols);
  if (net.isIP(name) === 0) handle.setServername(name);
  if (session !== undefined) handle.setSession(session);
  handle.onnewsession = (_id, latest) => {
    if (isGood) keep(latest);
    else early = latest;
  };
  handle.enableSessionCallbacks();
  handle.useUserBuffer(io.shared);
  handle.start();
  if (!handshake.isOver) handle.readStart();
  return () => handshake.giveUp();
}

function isTls13(handle: TlsHandle): boolean {
  return handle.getProtocol() === 'TLSv1.3';
}

/** A session that is resumed was begun with a certificate that was good for the same host. */
function whatIsWrong(handle: TlsHandle, host: string): Error | undefined {
  const error = handle.verifyError();
  if (error !== null || handle.isSessionReused()) return error ?? undefined;
  return tls.checkServerIdentity(host, handle.getPeerCertificate(true) as tls.PeerCertificate);
}

class Handshake {
  isOver = false;
  readonly #handle: TlsHandle;
  readonly #user: HandshakeUser;
  readonly #whatIsWrong: () => Error | undefined;

  /** @param wrong asked once the two sides have agreed: what one of them does not like about the other. */
  constructor(handle: TlsHandle, user: HandshakeUser, wrong: () => Error | undefined = nothing) {
    this.#handle = handle;
    this.#user = user;
    this.#whatIsWrong = wrong;
    handle.onread = () => {
      const result = readResult();
      if (result < 0) this.#fail(endOf(result));
      return undefined;
    };
    listenTo(
      handle,
      (error) => this.#fail(error),
      () => this.#finish(),
    );
  }

  giveUp(): void {
    if (this.isOver) return;
    this.isOver = true;
    closeTls(this.#handle);
  }

  #fail(error: Error): void {
    if (this.isOver) return;
    this.giveUp();
    try {
      this.#user.onHandshakeFailed(error);
    } catch (exception) {
      this.#user.onCrashed(exception);
    }
  }

  #finish(): void {
    if (this.isOver) return;
    try {
      const wrong = this.#whatIsWrong();
      if (wrong !== undefined) {
        this.#fail(wrong);
        return;
      }
      this.isOver = true;
      this.#user.onSecure(this.#handle);
    } catch (error) {
      this.isOver = true;
      this.#user.onCrashed(error);
      closeTls(this.#handle);
    }
  }
}

function nothing(): undefined {}

/** The connection has ended before the handshake. */
function endOf(result: number): NodeJS.ErrnoException {
  const message =
    result === END_OF_FILE
      ? 'the connection ended before the TLS handshake was over'
      : describeError('read', result);
  return Object.assign(new Error(message), { code: 'ECONNRESET' });
}
