/** One listener in this thread: opens its address, and hands each connection to a `ClientConnection`. */
import net from 'node:net';
import type { OpenedListener } from '../../snapshot/messages.ts';
import type { ListenerSnapshot } from '../../snapshot/snapshot.ts';
import { guarded, letGo } from '../barrier.ts';
import type { DataContext } from '../relay/context.ts';
import type { ByteStream, StreamUser } from '../stream/byte-stream.ts';
import { SocketStream } from '../stream/socket-stream.ts';
import { descriptorOf, isKnownHandle, peerAddress, type TcpHandle } from '../stream/tcp-handles.ts';
import { TcpStream } from '../stream/tcp-stream.ts';
import { ClientConnection } from './client-connection.ts';
import type { MayBeIdle } from './idle-clients.ts';
import type { Places } from './places.ts';
import { SocketFile } from './socket-file.ts';
import { type Secure, TlsAcceptor, type TlsAcceptorUser } from './tls-acceptor.ts';

const BACKLOG = 4096;
const NOTHING = Buffer.alloc(0);
const CUT_AT_THE_END =
  'cut at the end of the process: the drain was over (timeouts.drain), or a second signal came';

interface ListenOptions extends net.ListenOptions {
  /** SO_REUSEPORT; Node ≥ 22.12 on Linux. The types of the oldest Node we run on do not know it. */
  readonly reusePort?: boolean;
}

interface ServerHandle {
  onconnection?: (error: number, handle: unknown) => void;
}

/** What all listeners of a thread share: see listeners.ts. */
export interface ListenerHost {
  readonly context: DataContext;
  readonly places: Places;
  /** A connection is gone. */
  onForgotten(): void;
}

export class Listener implements TlsAcceptorUser {
  readonly id: number;
  readonly #host: ListenerHost;
  readonly #context: DataContext;
  readonly #places: Places;
  readonly #server: net.Server;
  #file: SocketFile | null = null;
  #spec: ListenerSnapshot;
  #tls: TlsAcceptor | null;
  #ticketKeys: Uint8Array;
  /** With the client that each counts for: see `Places`. Null: its TLS carrier counts, and may outlive it. */
  readonly #connections = new Map<ClientConnection, string | null>();
  /** What makes a socket of an accepted handle; null: every connection comes as a socket. */
  #makeSocket: ((handle: TcpHandle) => void) | null = null;
  #isClosed = false;

  constructor(host: ListenerHost, spec: ListenerSnapshot, ticketKeys: Uint8Array) {
    this.id = spec.id;
    this.#host = host;
    this.#context = host.context;
    this.#places = host.places;
    this.#spec = spec;
    this.#ticketKeys = ticketKeys;
    this.#tls = this.#makeTls();
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#guard(
        () => this.#acceptSocket(socket),
        () => socket.destroy(),
      ),
    );
  }

  #makeTls(): TlsAcceptor | null {
    const { tls } = this.#spec;
    return tls === undefined
      ? null
      : new TlsAcceptor(tls, this.#ticketKeys, this.#context.io, this);
  }

  /** @throws what the system says, EADDRINUSE above all. */
  async listen(reusePort: boolean): Promise<OpenedListener> {
    const { id, address } = this.#spec;
    if (address.kind === 'tcp') {
      const { host, port } = address;
      const options: ListenOptions = {
        port,
        ...(host === undefined ? {} : { host }),
        ...(reusePort ? { reusePort } : {}),
      };
      await this.#listen(options);
      const bound = this.#server.address() as net.AddressInfo;
      return { id, host: bound.address, port: bound.port };
    }
    const file = new SocketFile(address.path);
    await file.prepare();
    await this.#listen({ path: file.ownPath });
    file.publish(address.mode);
    if (this.#isClosed) file.remove();
    this.#file = file;
    return { id, host: address.path, port: 0 };
  }

  #listen(options: ListenOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ ...options, backlog: BACKLOG }, () => {
        this.#server.removeListener('error', reject);
        // Closed before it was open, as its host was looked up.
        if (this.#isClosed) this.#server.close();
        this.#acceptHandles();
        this.#server.on('error', (error: NodeJS.ErrnoException) =>
          this.#places.acceptFailed(error.code ?? error.message),
        );
        resolve();
      });
    });
  }

  /** What is said of it now. Whoever is connected stays connected. */
  update(spec: ListenerSnapshot): void {
    const { tls, address } = spec;
    this.#spec = spec;
    if (address.kind === 'unix') this.#file?.setMode(address.mode);
    if (tls !== undefined && this.#tls !== null) {
      this.#tls.set(tls);
    } else if (tls !== undefined || this.#tls !== null) {
      this.#tls?.destroy();
      this.#tls = this.#makeTls();
    }
  }

  setTicketKeys(keys: Uint8Array): void {
    this.#ticketKeys = keys;
    this.#tls?.setTicketKeys(keys);
  }

  tick(nowMs: number): void {
    this.#context.barrier.run('the tick of TLS', () => this.#tls?.tick(nowMs));
    for (const connection of this.#connections.keys()) {
      if (connection.deadlineMs <= nowMs) guarded(connection, () => connection.onDeadline());
      if (connection.isPaused) guarded(connection, () => connection.look(nowMs));
    }
  }

  /** All that may make room. */
  *clients(): Generator<MayBeIdle> {
    if (this.#tls !== null) yield* this.#tls.arriving;
    yield* this.#connections.keys();
  }

  connections(): IterableIterator<ClientConnection> {
    return this.#connections.keys();
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Nobody is connected, nor on the way. */
  get isEmpty(): boolean {
    return this.#connections.size === 0 && this.#tls?.isEmpty !== false;
  }

  /** Accepts nobody any more. */
  close(): void {
    this.#isClosed = true;
    this.#server.close();
    letGo(() => this.#file?.remove());
  }

  /** Cuts every connection. @returns how many clients have lost something by it. */
  destroy(): number {
    this.close();
    let cut = 0;
    for (const connection of this.#connections.keys()) {
      guarded(connection, () => {
        if (connection.abandon('ERR_CUT_AT_SHUTDOWN', CUT_AT_THE_END)) cut++;
      });
    }
    this.#tls?.destroy();
    return cut;
  }

  /** Empty: who comes by a unix socket has none, and can not be told from others. */
  #addressOf(socket: net.Socket): string | undefined {
    return this.#spec.address.kind === 'unix' ? '' : socket.remoteAddress;
  }

  /** @param close what is left of the connection if it can't be taken on. */
  #guard(step: () => void, close: () => void): void {
    try {
      step();
    } catch (error) {
      this.#context.barrier.connectionCrashed(error);
      letGo(close);
    }
  }

  #acceptSocket(socket: net.Socket): void {
    const tls = this.#tls;
    if (tls?.acceptWrapped(socket) === true) return;
    // Over TLS too it counts from its accept: a client that never ends its handshake must not get past the limit.
    const client = this.#places.admit(descriptorOf(socket), () => this.#addressOf(socket));
    if (client === null) {
      socket.on('error', () => {});
      socket.destroy();
    } else if (tls === null) {
      this.#accept((user) => new SocketStream(socket, user, false), client, false);
    } else {
      // Who leaves within the TLS handshake has left: half-open only from its end on.
      socket.allowHalfOpen = false;
      this.#orRelease(client, () => tls.acceptSocket(socket, client, this.#context.nowMs));
    }
  }

  /**
   * Takes the handles of accepted connections before node:net makes sockets of them, which would cost more than the
   * requests they carry. Neither the handles nor `onconnection` are documented: where either is not what it was, the
   * server's own sockets are used.
   */
  #acceptHandles(): void {
    const handle = (this.#server as unknown as { readonly _handle?: ServerHandle | null })._handle;
    const original = handle?.onconnection;
    if (handle === undefined || handle === null || typeof original !== 'function') return;
    this.#makeSocket = (clientHandle) => original.call(handle, 0, clientHandle);
    const take = (error: number, clientHandle: unknown): void => {
      if (error) {
        this.#places.acceptFailed(error);
        return;
      }
      if (!isKnownHandle(clientHandle)) {
        original.call(handle, error, clientHandle);
        return;
      }
      clientHandle.setNoDelay(true);
      const client = this.#places.admit(clientHandle.fd, () => peerAddress(clientHandle));
      if (client === null) {
        clientHandle.close();
        return;
      }
      const { io, nowMs } = this.#context;
      const tls = this.#tls;
      if (tls !== null)
        this.#orRelease(client, () => tls.acceptHandle(clientHandle, client, nowMs));
      else this.#accept((user) => new TcpStream(clientHandle, user, io, true), client, false);
    };
    handle.onconnection = (error, clientHandle) =>
      this.#guard(
        () => take(error, clientHandle),
        () => (clientHandle as TcpHandle | undefined)?.close(),
      );
  }

  /** Takes a step with an admitted client whose place is given back if it throws. */
  #orRelease(client: string, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#places.release(client);
      throw error;
    }
  }

  /** Whatever it throws, the client's place is given back. */
  #accept(
    open: (user: StreamUser) => ByteStream,
    client: string | null,
    isTls: boolean,
    clientFields = '',
  ): ClientConnection {
    let connection: ClientConnection | null = null;
    try {
      const onClosed = (closed: ClientConnection): void => this.#forget(closed);
      connection = new ClientConnection(this.#context, open, { isTls, clientFields }, onClosed);
      this.#connections.set(connection, client);
      if (this.#isClosed) connection.beginDrain();
      return connection;
    } catch (error) {
      if (connection !== null) this.#forget(connection);
      else if (client !== null) this.#places.release(client);
      throw error;
    }
  }

  #forget(connection: ClientConnection): void {
    const client = this.#connections.get(connection);
    if (client === undefined) return;
    this.#connections.delete(connection);
    if (client !== null) this.#places.release(client);
    this.#host.onForgotten();
  }

  // ── What becomes of those that were accepted for TLS ────────────────────────────────────────────────────────────

  wrap(handle: TcpHandle): void {
    this.#makeSocket?.(handle);
  }

  onSecure(secure: Secure, client: string | null): void {
    const { identity, needsCertificate } = secure;
    this.#guard(
      () => {
        const fields = identity?.fields;
        const connection = this.#accept((user) => secure.open(user), client, true, fields);
        const fault = identity?.fault ?? null;
        if (needsCertificate && fault !== null) {
          connection.refuse('ERR_CLIENT_CERTIFICATE', NOTHING, fault);
        }
      },
      () => secure.close(),
    );
  }

  onPlain(connection: TcpHandle | net.Socket, bytes: Buffer, client: string): void {
    const { io } = this.#context;
    const open = (user: StreamUser): ByteStream => {
      if (!(connection instanceof net.Socket)) return new TcpStream(connection, user, io, false);
      connection.allowHalfOpen = true;
      return new SocketStream(connection, user, false);
    };
    this.#guard(
      () => this.#accept(open, client, false).refuse('ERR_CLIENT_PLAIN_HTTP', bytes),
      () => (connection instanceof net.Socket ? connection.destroy() : connection.close()),
    );
  }

  onGone(client: string): void {
    this.#places.release(client);
  }

  onHandshakeFailed(): void {
    this.#context.countError('ERR_CLIENT_TLS');
  }

  onCrashed(error: unknown): void {
    this.#context.barrier.connectionCrashed(error);
  }
}
