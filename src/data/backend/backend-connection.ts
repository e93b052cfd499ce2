/**
 * One connection to a backend: connects, carries one attempt at a time, waits idle in between.
 *
 * All backend sockets of a thread read into one buffer (`onread`): the bytes a user is given are borrowed and gone when
 * the call returns. What must be kept is copied.
 */
import net from 'node:net';
import tls from 'node:tls';
import type { ErrorCode } from '../../errors.ts';
import type { BackendCounters } from '../../snapshot/counters.ts';
import type { BackendSnapshot } from '../../snapshot/snapshot.ts';
import { describeConnectError } from './connect-errors.ts';

/** The backend that a connection leads to, as far as the connection knows it. */
export interface ConnectionOwner {
  readonly spec: BackendSnapshot;
  readonly counters: BackendCounters;
  /** An idle connection has closed by itself. */
  forget(connection: BackendConnection): void;
}

/** Whoever has the connection: told everything that happens on it until it is released or closed. */
export interface ConnectionUser {
  onBackendConnected(): void;
  onBackendConnectFailed(code: ErrorCode, detail: string): void;
  /** Bytes arrived in `buffer[0, length)`, borrowed for the length of the call. */
  onBackendBytes(buffer: Buffer, length: number): void;
  /** The backend will send nothing more. `isBroken`: not by its FIN, so what came may lack its end. */
  onBackendEnd(detail: string, isBroken: boolean): void;
  /** Writing failed; reading may go on. */
  onBackendWriteFailed(detail: string): void;
  /** What was written has left; more may be written. */
  onBackendDrain(): void;
}

const IS_CONNECTING = 0;
const IS_OPEN = 1;
const IS_CLOSED = 2;

export class BackendConnection {
  readonly backend: ConnectionOwner;
  /** While idle: when it must not be used any more, on the thread's clock. */
  idleUntilMs = 0;
  /** The limit that the backend stated in its Keep-Alive field, in ms; Infinity when it did not. */
  keepAliveLimitMs = Number.POSITIVE_INFINITY;

  readonly #socket: net.Socket;
  #user: ConnectionUser | null;
  #state = IS_CONNECTING;
  #hasWriteFailed = false;

  constructor(backend: ConnectionOwner, user: ConnectionUser, readBuffer: Buffer) {
    this.backend = backend;
    this.#user = user;
    const { host, port, tls: isTls } = backend.spec;
    const shared = {
      host,
      port,
      // Both address families are tried, the next one after 250 ms: RFC 8305. "localhost" may be ::1 or 127.0.0.1.
      autoSelectFamily: true,
      noDelay: true,
      allowHalfOpen: true,
      onread: {
        buffer: readBuffer,
        callback: (length: number, buffer: Uint8Array) => this.#onBytes(length, buffer as Buffer),
      },
    };
    this.#socket = isTls
      ? tls.connect({
          ...shared,
          ...(net.isIP(host) === 0 ? { servername: host } : {}),
          ALPNProtocols: ['http/1.1'],
        })
      : net.connect(shared);
    const socket = this.#socket;
    watchReading(socket, this);
    socket.on(isTls ? 'secureConnect' : 'connect', () => this.#onConnected());
    socket.on('error', (error) => this.#onError(error));
    socket.on('close', () => this.#onEnd('the connection closed', true));
    socket.on('drain', () => this.#user?.onBackendDrain());
  }

  /** A write that fails now ends the writing only: the response may be on its way, or here already. */
  get outlivesWriteErrors(): boolean {
    return this.#state === IS_OPEN && this.#user !== null && !this.#hasWriteFailed;
  }

  get hasWriteFailed(): boolean {
    return this.#hasWriteFailed;
  }

  /** Gives an idle connection to its next user. */
  assign(user: ConnectionUser): void {
    this.#user = user;
  }

  /** The same request goes on under another user: a tunnel. */
  handOver(user: ConnectionUser): void {
    this.#user = user;
  }

  /** The user is done with it; whatever comes now is unsolicited. The caller puts it into the pool or closes it. */
  release(): void {
    this.#user = null;
  }

  /** Latin-1 text. @returns false when the caller should wait for `onBackendDrain`. */
  writeText(text: string): boolean {
    return this.#hasWriteFailed || this.#socket.write(text, 'latin1');
  }

  /** The bytes must stay untouched until they have left: pass a copy. */
  writeBytes(bytes: Buffer): boolean {
    return this.#hasWriteFailed || this.#socket.write(bytes);
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  get needsDrain(): boolean {
    return this.#socket.writableNeedDrain && !this.#hasWriteFailed;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends FIN after what was written. For tunnels: a request's end is never signalled by closing. */
  end(): void {
    if (this.#state === IS_OPEN) this.#socket.end();
  }

  /** Upgraded connections live long: let the system notice a dead peer. */
  enableTcpKeepAlive(): void {
    this.#socket.setKeepAlive(true, 60_000);
  }

  /** Closes at once and tells nobody. */
  destroy(): void {
    this.#user = null;
    this.#close();
  }

  noteWriteFailed(error: Error): void {
    this.#hasWriteFailed = true;
    this.#user?.onBackendWriteFailed(error.message);
  }

  /** The backend's FIN, in its place among the bytes. */
  noteReadEnd(): void {
    // A TLS handshake that is cut short has its own error, which says more.
    if (this.#state === IS_CONNECTING) return;
    // A reset that a write has met is seen as an end by the next read.
    this.#onEnd('the backend closed the connection', this.#hasWriteFailed || this.#isReset);
  }

  /**
   * A reset right behind some bytes looks like an end on Node 20. The kernel knows better: what was
   * reset has no peer any more, unless we have ended it as well. Nobody may ask for the peer before: Node keeps the answer.
   */
  get #isReset(): boolean {
    return !this.#socket.writableEnded && this.#socket.remoteAddress === undefined;
  }

  #onConnected(): void {
    if (this.#state !== IS_CONNECTING) return;
    this.#state = IS_OPEN;
    this.#user?.onBackendConnected();
  }

  #onBytes(length: number, buffer: Buffer): boolean {
    if (this.#user === null) {
      // Bytes that nobody asked for would be taken for the next response (undici GHSA-35p6-xmwp-9g52).
      this.backend.forget(this);
      this.#close();
      return false;
    }
    this.#user.onBackendBytes(buffer, length);
    return true;
  }

  #onError(error: Error): void {
    if (this.#state === IS_CONNECTING) {
      const user = this.#user;
      this.#user = null;
      this.#close();
      if (user !== null) {
        const { code, detail } = describeConnectError(error);
        user.onBackendConnectFailed(code, detail);
      }
      return;
    }
    this.#onEnd(error.message, true);
  }

  #onEnd(detail: string, isBroken: boolean): void {
    if (this.#state === IS_CONNECTING) {
      this.#onError(new Error(detail));
      return;
    }
    const user = this.#user;
    if (user === null) {
      this.backend.forget(this);
      this.#close();
      return;
    }
    if (this.#state === IS_OPEN) user.onBackendEnd(detail, isBroken);
  }

  #close(): void {
    if (this.#state === IS_CLOSED) return;
    this.#state = IS_CLOSED;
    this.backend.counters.connectionClosed();
    this.#socket.destroy();
  }
}

const OWNER = Symbol('owner');

interface GuardedSocket extends net.Socket {
  [OWNER]?: BackendConnection;
}

const { destroy: destroySocket, push: pushRead } = net.Socket.prototype;

/**
 * Keeps a failed write from throwing away a response that has already arrived, and from hiding its end.
 *
 * A backend that answers 413 and closes makes our next write fail with EPIPE or ECONNRESET, and Node then destroys the
 * socket with the unread answer in its receive buffer (http-party/node-http-proxy#1677). Here a write error only stops the
 * writing; the read side goes on until it ends by itself, or until the exchange's deadline. After a write error Node
 * emits no 'end' any more, so the end of reading is taken from where Node itself reports it: push(null).
 */
function watchReading(socket: GuardedSocket, owner: BackendConnection): void {
  socket[OWNER] = owner;
  socket.destroy = destroyUnlessWriteFailed;
  socket.push = pushAndTellEnd;
}

function destroyUnlessWriteFailed(this: GuardedSocket, error?: Error): GuardedSocket {
  const failure = error as NodeJS.ErrnoException | undefined;
  if (
    failure?.syscall === 'write' &&
    !this.readableEnded &&
    this[OWNER]?.outlivesWriteErrors === true
  ) {
    this[OWNER].noteWriteFailed(failure);
    return this;
  }
  return destroySocket.call(this, error) as GuardedSocket;
}

/** With `onread` no bytes pass through here, only the end. */
function pushAndTellEnd(this: GuardedSocket, chunk: unknown, encoding?: BufferEncoding): boolean {
  const mayGoOn = pushRead.call(this, chunk, encoding);
  if (chunk === null) this[OWNER]?.noteReadEnd();
  return mayGoOn;
}
