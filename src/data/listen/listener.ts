/** Accepts clients: opens the port, settles limits, hands each connection to a `ClientConnection`. */
import net from 'node:net';
import tls from 'node:tls';
import type { ListenerSnapshot, TlsMaterial } from '../../snapshot/snapshot.ts';
import type { DataContext } from '../context.ts';
import { ClientConnection } from './client-connection.ts';

const BACKLOG = 4096;
const TLS_HANDSHAKE_MS = 10_000;

interface ListenOptions extends net.ListenOptions {
  /** SO_REUSEPORT; Node ≥ 22.12 on Linux. The types of the oldest Node we run on do not know it. */
  readonly reusePort?: boolean;
}

/** A libuv stream handle, as far as it is used here. */
interface ClientHandle {
  readonly setNoDelay?: (enable: boolean) => number;
}

interface ServerHandle {
  onconnection?: (error: number, handle: ClientHandle | undefined) => void;
}

interface HandleSocketOptions extends net.SocketConstructorOpts {
  readonly handle: ClientHandle;
  readonly onread: net.OnReadOpts;
}

export class Listener {
  readonly #context: DataContext;
  readonly #server: net.Server;
  readonly #isTls: boolean;
  readonly #connections = new Set<ClientConnection>();
  /** What TLS connections run over, from before their handshake on; empty without TLS. */
  readonly #tlsCarriers = new Set<net.Socket>();
  #onEmpty: (() => void) | null = null;

  constructor(context: DataContext, material: TlsMaterial | undefined) {
    this.#context = context;
    this.#isTls = material !== undefined;
    const options = { allowHalfOpen: true, noDelay: true };
    this.#server =
      material === undefined
        ? net.createServer(options, (socket) => this.#acceptStream(socket))
        : tls.createServer(
            {
              ...options,
              cert: material.cert,
              key: material.key,
              ALPNProtocols: ['http/1.1'],
              minVersion: 'TLSv1.2',
              handshakeTimeout: TLS_HANDSHAKE_MS,
            },
            (socket) => this.#acceptStream(socket),
          );
    if (this.#isTls) {
      this.#server.on('connection', (socket: net.Socket) => this.#admitCarrier(socket));
      // No request, so no line in the access log: a scanner would fill it. Counted, so that an operator can see it.
      this.#server.on('tlsClientError', (_error, socket) => {
        this.#context.countError('ERR_CLIENT_TLS');
        socket.destroy();
      });
    }
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** @throws what the system says, EADDRINUSE above all. */
  listen(
    listener: ListenerSnapshot,
    reusePort: boolean,
  ): Promise<{ readonly host: string; readonly port: number }> {
    const options: ListenOptions = {
      port: listener.port,
      backlog: BACKLOG,
      ...(listener.host === undefined ? {} : { host: listener.host }),
      ...(reusePort ? { reusePort } : {}),
    };
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(options, () => {
        this.#server.removeListener('error', reject);
        if (!this.#isTls) this.#acceptHandles();
        // Errors of accepting (out of descriptors) pass by themselves; without a listener they would end the thread.
        this.#server.on('error', () => {});
        const { address, port } = this.#server.address() as net.AddressInfo;
        resolve({ host: address, port });
      });
    });
  }

  setTls(material: TlsMaterial): void {
    if (this.#server instanceof tls.Server) {
      this.#server.setSecureContext({
        cert: material.cert,
        key: material.key,
        minVersion: 'TLSv1.2',
      });
    }
  }

  tick(nowMs: number): void {
    for (const connection of this.#connections) {
      if (connection.deadlineMs <= nowMs) connection.onDeadline();
    }
  }

  /** Accepts nobody any more; calls back once the last connection is gone. */
  drain(onEmpty: () => void): void {
    this.#server.close();
    if (this.#connections.size === 0) {
      onEmpty();
      return;
    }
    this.#onEmpty = onEmpty;
    for (const connection of this.#connections) connection.beginDrain();
  }

  /** Cuts every connection. */
  destroy(): void {
    this.#server.close();
    for (const connection of this.#connections) connection.abandon();
    for (const carrier of this.#tlsCarriers) carrier.destroy();
  }

  /** A TLS connection counts from its accept: a client that never ends its handshake must not get past the limit. */
  #admitCarrier(carrier: net.Socket): void {
    if (!this.#admit(carrier)) return;
    this.#tlsCarriers.add(carrier);
    carrier.once('close', () => this.#tlsCarriers.delete(carrier));
  }

  /** Takes one of the client connections that are allowed, until the socket closes; closes it when all are taken. */
  #admit(socket: net.Socket): boolean {
    const { counters, view } = this.#context;
    if (counters.tryAcceptClient(view.snapshot.limits.clientConnections)) {
      socket.once('close', () => counters.clientClosed());
      return true;
    }
    socket.on('error', () => {});
    socket.destroy();
    return false;
  }

  #acceptStream(socket: net.Socket): void {
    if (!this.#isTls && !this.#admit(socket)) return;
    const connection = this.#accept(socket);
    socket.on('data', (chunk: Buffer) => connection.onBytes(chunk, chunk.length));
  }

  /**
   * Makes the sockets of accepted connections ourselves, so that they read into the thread's one buffer: a socket that
   * node:net makes gets 64 KiB allocated for every read. `onread` is documented for connecting sockets only, and the
   * handle's `onconnection` not at all: where either is not what it was, the server's own sockets are used.
   */
  #acceptHandles(): void {
    const handle = (this.#server as unknown as { readonly _handle?: ServerHandle | null })._handle;
    const original = handle?.onconnection;
    if (handle === undefined || handle === null || typeof original !== 'function') return;
    handle.onconnection = (error, clientHandle) => {
      if (error || clientHandle === undefined || this.#server.maxConnections !== undefined) {
        original.call(handle, error, clientHandle);
        return;
      }
      this.#acceptHandle(clientHandle);
    };
  }

  #acceptHandle(handle: ClientHandle): void {
    let connection: ClientConnection | null = null;
    const options: HandleSocketOptions = {
      handle,
      allowHalfOpen: true,
      onread: {
        buffer: this.#context.readBuffer,
        callback: (length, buffer) => {
          connection?.onBytes(buffer as Buffer, length);
          return true;
        },
      },
    };
    handle.setNoDelay?.(true);
    const socket = new net.Socket(options as net.SocketConstructorOpts);
    if (this.#admit(socket)) connection = this.#accept(socket);
  }

  #accept(socket: net.Socket): ClientConnection {
    const connection = new ClientConnection(this.#context, socket, this.#isTls, (closed) =>
      this.#forget(closed),
    );
    this.#connections.add(connection);
    if (this.#context.isDraining) connection.beginDrain();
    return connection;
  }

  #forget(connection: ClientConnection): void {
    if (!this.#connections.delete(connection)) return;
    if (this.#connections.size === 0 && this.#onEmpty !== null) {
      const onEmpty = this.#onEmpty;
      this.#onEmpty = null;
      onEmpty();
    }
  }
}
