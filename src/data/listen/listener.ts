/** Accepts clients: opens the port, settles limits, hands each connection to a `ClientConnection`. */
import net from 'node:net';
import tls from 'node:tls';
import type { ListenerSnapshot, TlsMaterial } from '../../snapshot/snapshot.ts';
import type { DataContext } from '../context.ts';
import { clientNetwork } from '../limit/client-network.ts';
import type { ByteStream, StreamUser } from '../stream/byte-stream.ts';
import { SocketStream } from '../stream/socket-stream.ts';
import { isKnownHandle, peerAddress } from '../stream/tcp-handles.ts';
import { TcpStream } from '../stream/tcp-stream.ts';
import { isTrusted, normalizeAddress } from './client-address.ts';
import { ClientConnection } from './client-connection.ts';
import { drainTurns } from './drain-turns.ts';

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
  /** With the client that each counts for: see `#admit`. */
  readonly #connections = new Map<ClientConnection, string>();
  /** What TLS connections run over, from before their handshake on; empty without TLS. */
  readonly #tlsCarriers = new Set<net.Socket>();
  #onEmpty: (() => void) | null = null;

  constructor(context: DataContext, material: TlsMaterial | undefined) {
    this.#context = context;
    this.#isTls = material !== undefined;
    this.#server =
      material === undefined
        ? net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
            this.#acceptSocket(socket),
          )
        : tls.createServer(
            {
              // Who leaves within the handshake has left: half-open only from its end on.
              allowHalfOpen: false,
              noDelay: true,
              cert: material.cert,
              key: material.key,
              ALPNProtocols: ['http/1.1'],
              minVersion: 'TLSv1.2',
              handshakeTimeout: TLS_HANDSHAKE_MS,
            },
            (socket) => {
              socket.allowHalfOpen = true;
              this.#acceptSocket(socket);
            },
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
    for (const connection of this.#connections.keys()) {
      if (connection.deadlineMs <= nowMs) connection.onDeadline();
    }
  }

  /**
   * Accepts nobody any more; idle connections are closed one after the other in the first half of the time; calls back
   * once the last connection is gone.
   */
  drain(durationMs: number, onEmpty: () => void): void {
    this.#server.close();
    if (this.#connections.size === 0) {
      onEmpty();
      return;
    }
    this.#onEmpty = onEmpty;
    const { firstMs, stepMs } = drainTurns(durationMs, this.#connections.size);
    let turnMs = firstMs;
    for (const connection of this.#connections.keys()) {
      if (connection.beginDrain(turnMs)) turnMs += stepMs;
    }
  }

  /** Cuts every connection. @returns how many clients have lost something by it. */
  destroy(): number {
    this.#server.close();
    let cut = 0;
    for (const connection of this.#connections.keys()) if (connection.abandon()) cut++;
    for (const carrier of this.#tlsCarriers) carrier.destroy();
    return cut;
  }

  /** A TLS connection counts from its accept: a client that never ends its handshake must not get past the limit. */
  #admitCarrier(carrier: net.Socket): void {
    const client = this.#admit(() => carrier.remoteAddress);
    if (client === null) {
      carrier.on('error', () => {});
      carrier.destroy();
      return;
    }
    this.#tlsCarriers.add(carrier);
    carrier.once('close', () => {
      this.#tlsCarriers.delete(carrier);
      this.#release(client);
    });
  }

  /**
   * Takes one of the client connections that are allowed, in all and for this client.
   * @param address of the peer; asked for only where it counts.
   * @returns the client that it counts for, empty where clients are not counted; null when all are taken.
   */
  #admit(address: () => string | undefined): string | null {
    const { counters, clientConnections, view } = this.#context;
    const { limits } = view.snapshot;
    if (!counters.tryAcceptClient(limits.clientConnections)) return null;
    const peer = limits.connectionsPerClient === 0 ? '' : normalizeAddress(address());
    // A proxy in front of us holds the connections of many clients.
    if (peer === '' || isTrusted(view.trustedProxies, peer)) return '';
    const client = clientNetwork(peer);
    if (clientConnections.tryOpen(client, limits.connectionsPerClient)) return client;
    counters.clientClosed();
    return null;
  }

  #release(client: string): void {
    this.#context.counters.clientClosed();
    if (client !== '') this.#context.clientConnections.closed(client);
  }

  #acceptSocket(socket: net.Socket): void {
    // Over TLS the carrier counts, and may outlive the connection.
    const client = this.#isTls ? '' : this.#admit(() => socket.remoteAddress);
    if (client === null) {
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    this.#accept((user) => new SocketStream(socket, user, false), client);
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
        return;
      }
      const client = this.#admit(() => peerAddress(clientHandle));
      if (client === null) {
        clientHandle.close();
        return;
      }
      clientHandle.setNoDelay(true);
      this.#accept((user) => new TcpStream(clientHandle, user, this.#context.io, true), client);
    };
  }

  #accept(open: (user: StreamUser) => ByteStream, client: string): void {
    const connection = new ClientConnection(this.#context, open, this.#isTls, (closed) =>
      this.#forget(closed),
    );
    this.#connections.set(connection, client);
    if (this.#context.isDraining) connection.beginDrain();
  }

  #forget(connection: ClientConnection): void {
    const client = this.#connections.get(connection);
    if (client === undefined) return;
    this.#connections.delete(connection);
    if (!this.#isTls) this.#release(client);
    if (this.#connections.size === 0 && this.#onEmpty !== null) {
      const onEmpty = this.#onEmpty;
      this.#onEmpty = null;
      onEmpty();
    }
  }
}
