/** Accepts clients: opens the port, settles limits, hands each connection to a `ClientConnection`. */
import net from 'node:net';
import tls from 'node:tls';
import type { ListenerSnapshot, TlsMaterial } from '../../snapshot/snapshot.ts';
import type { DataContext } from '../context.ts';
import type { ByteStream, StreamUser } from '../stream/byte-stream.ts';
import { SocketStream } from '../stream/socket-stream.ts';
import { isKnownHandle } from '../stream/tcp-handles.ts';
import { TcpStream } from '../stream/tcp-stream.ts';
import { ClientConnection } from './client-connection.ts';

const BACKLOG = 4096;
const TLS_HANDSHAKE_MS = 10_000;

interface ListenOptions extends net.ListenOptions {
  /** SO_REUSEPORT; Node ≥ 22.12 on Linux. The types of the oldest Node we run on do not know it. */
  readonly reusePort?: boolean;
}

interface ServerHandle {
  onconnection?: (error: number, handle: unknown) => void;
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
        ? net.createServer(options, (socket) => this.#acceptSocket(socket))
        : tls.createServer(
            {
              ...options,
              cert: material.cert,
              key: material.key,
              ALPNProtocols: ['http/1.1'],
              minVersion: 'TLSv1.2',
              handshakeTimeout: TLS_HANDSHAKE_MS,
            },
            (socket) => this.#acceptSocket(socket),
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
    const { counters } = this.#context;
    if (!this.#admits()) {
      carrier.on('error', () => {});
      carrier.destroy();
      return;
    }
    this.#tlsCarriers.add(carrier);
    carrier.once('close', () => {
      this.#tlsCarriers.delete(carrier);
      counters.clientClosed();
    });
  }

  /** Takes one of the client connections that are allowed; false when all are taken. */
  #admits(): boolean {
    const { counters, view } = this.#context;
    return counters.tryAcceptClient(view.snapshot.limits.clientConnections);
  }

  #acceptSocket(socket: net.Socket): void {
    if (!this.#isTls && !this.#admits()) {
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    this.#accept((user) => new SocketStream(socket, user, false));
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
    handle.onconnection = (error, clientHandle) => {
      if (error || !isKnownHandle(clientHandle)) {
        original.call(handle, error, clientHandle);
      } else if (this.#admits()) {
        clientHandle.setNoDelay(true);
        this.#accept((user) => new TcpStream(clientHandle, user, this.#context.io, true));
      } else {
        clientHandle.close();
      }
    };
  }

  #accept(open: (user: StreamUser) => ByteStream): void {
    const connection = new ClientConnection(this.#context, open, this.#isTls, (closed) =>
      this.#forget(closed),
    );
    this.#connections.add(connection);
    if (this.#context.isDraining) connection.beginDrain();
  }

  #forget(connection: ClientConnection): void {
    if (!this.#connections.delete(connection)) return;
    // Over TLS the carrier counts, and may outlive it.
    if (!this.#isTls) this.#context.counters.clientClosed();
    if (this.#connections.size === 0 && this.#onEmpty !== null) {
      const onEmpty = this.#onEmpty;
      this.#onEmpty = null;
      onEmpty();
    }
  }
}
