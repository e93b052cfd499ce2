/** One listener in this thread: opens its address, and hands each connection to a `ClientConnection`. */
import net from 'node:net';
import type { OpenedListener } from '../../snapshot/messages.ts';
import type { ListenerSnapshot } from '../../snapshot/snapshot.ts';
import { guarded, letGo } from '../barrier.ts';
import type { DataContext } from '../relay/context.ts';
import type { ByteStream, StreamUser } from '../stream/byte-stream.ts';
import { SocketStream } from '../stream/socket-stream.ts';
import { descriptorOf, peerAddress, type TcpHandle } from '../stream/tcp-handles.ts';
import { TcpStream } from '../stream/tcp-stream.ts';
import type { ProxiedClient } from '../wire/proxy-protocol.ts';
import type { AcceptorUser } from './acceptor.ts';
import { Acceptors } from './acceptors.ts';
import { ClientConnection } from './client-connection.ts';
import type { Carried } from './connection-context.ts';
import { Http2Connection } from './http2-connection.ts';
import { Http2FaultCount } from './http2-faults.ts';
import type { MayBeIdle } from './idle-clients.ts';
import { haveOtherTerms } from './listener-terms.ts';
import type { OpenClient } from './open-client.ts';
import type { Places } from './places.ts';
import { ProtocolChoice } from './protocol-choice.ts';
import { ProxyArrivals, type ProxyArrivalsUser } from './proxy-arrivals.ts';
import { type ProxyPeers, proxyPeers } from './proxy-peers.ts';
import type { Secure } from './secure.ts';
import { type Client, TlsAcceptor, type TlsAcceptorUser } from './tls-acceptor.ts';

const NOTHING = Buffer.alloc(0);
const CUT_AT_THE_END =
  'cut at the end of the process: the drain was over (timeouts.drain), or a second signal came';

/** What all listeners of a thread share: see listeners.ts. */
export interface ListenerHost {
  readonly context: DataContext;
  readonly places: Places;
  /** A connection is gone. */
  onForgotten(): void;
}

export class Listener implements AcceptorUser, TlsAcceptorUser, ProxyArrivalsUser {
  readonly id: number;
  readonly acceptors: Acceptors;
  readonly #host: ListenerHost;
  readonly #context: DataContext;
  readonly #places: Places;
  readonly #arrivals: ProxyArrivals;
  readonly #http2Faults = new Http2FaultCount();
  #spec: ListenerSnapshot;
  #proxies: ProxyPeers | null;
  #tls: TlsAcceptor | null;
  #ticketKeys: Uint8Array;
  /** With the client that each counts for: see `Places`. Null: its TLS carrier counts, and may outlive it. */
  readonly #connections = new Map<OpenClient, string | null>();
  #isClosed = false;
  /** Counts changes of what clients come by to a connection. */
  #terms = 0;

  constructor(host: ListenerHost, spec: ListenerSnapshot, ticketKeys: Uint8Array) {
    this.id = spec.id;
    this.#host = host;
    this.#context = host.context;
    this.#places = host.places;
    this.#spec = spec;
    this.#proxies = proxyPeers(spec.proxyProtocol);
    this.#ticketKeys = ticketKeys;
    this.#tls = this.#makeTls();
    this.#arrivals = new ProxyArrivals(this, host.context.io);
    this.acceptors = new Acceptors(this);
  }

  #makeTls(): TlsAcceptor | null {
    const { tls } = this.#spec;
    return tls === undefined
      ? null
      : new TlsAcceptor(tls, this.#ticketKeys, this.#context.io, this);
  }

  /** @param sockets that are handed to this thread; empty: one is opened. @throws what the system says */
  listen(reusePort: boolean, sockets: readonly number[]): Promise<OpenedListener> {
    return this.acceptors.listen(this.#spec, reusePort, sockets);
  }

  /** What is said of it now. Whoever is connected stays connected. */
  update(spec: ListenerSnapshot): void {
    const { tls, address } = spec;
    // Who is connected has what it has come to, until its next connection.
    if (haveOtherTerms(spec, this.#spec)) {
      this.#terms++;
      this.sendAway();
    }
    this.#spec = spec;
    this.#proxies = proxyPeers(spec.proxyProtocol);
    if (address.kind === 'unix') this.acceptors.setMode(address.mode);
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
    const { barrier } = this.#context;
    barrier.run('the tick of PROXY headers', () => this.#arrivals.tick(nowMs));
    barrier.run('the telling of what clients did', () => this.#tellFaults());
    barrier.run('the tick of TLS', () => this.#tls?.tick(nowMs));
    for (const connection of this.#connections.keys()) {
      if (connection.deadlineMs <= nowMs) guarded(connection, () => connection.onDeadline());
      if (connection.isPaused) guarded(connection, () => connection.look(nowMs));
    }
  }

  #tellFaults(): void {
    const { id: listenerId, name: listener } = this.#spec;
    const proxies = this.#arrivals.faults.take();
    if (proxies !== null) {
      const peer = this.acceptors.isUnix ? '' : proxies.peer;
      this.#context.post({ kind: 'no-proxy-header', listenerId, listener, ...proxies, peer });
    }
    const asked = this.#tls?.sites.takeAsked() ?? null;
    if (asked !== null) this.#context.post({ kind: 'names-asked', ...asked });
    const http2 = this.#http2Faults.take();
    if (http2 === null) return;
    // By a unix socket, only what a proxy says of it is an address.
    const peer = net.isIP(http2.peer) === 0 ? '' : http2.peer;
    this.#context.post({ kind: 'client-fault', listenerId, listener, ...http2, peer });
  }

  /** All that may make room. */
  *clients(): Generator<MayBeIdle> {
    yield* this.#arrivals.arriving;
    if (this.#tls !== null) yield* this.#tls.arriving;
    yield* this.#connections.keys();
  }

  connections(): IterableIterator<OpenClient> {
    return this.#connections.keys();
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Nobody is connected, nor on the way. */
  get isEmpty(): boolean {
    const isNobodyArriving = this.#arrivals.arriving.size === 0 && this.#tls?.isEmpty !== false;
    return isNobodyArriving && this.#connections.size === 0;
  }

  /** Accepts nobody any more. */
  close(): void {
    this.#isClosed = true;
    this.acceptors.close();
  }

  /** Idle clients go; requests that are under way are answered. */
  sendAway(): void {
    for (const connection of this.#connections.keys()) {
      guarded(connection, () => connection.beginDrain());
    }
  }

  endSilent(nowMs: number): void {
    this.#arrivals.endSilent(nowMs);
    this.#tls?.endSilent(nowMs);
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
    this.#arrivals.destroy();
    this.#tellFaults();
    this.#tls?.destroy();
    return cut;
  }

  /** @param letClose closes what is left of the connection if it can't be taken on. */
  #guard(step: () => void, letClose: () => void): void {
    try {
      step();
    } catch (error) {
      this.#context.barrier.connectionCrashed(error);
      letGo(letClose);
    }
  }

  // ── What is accepted ────────────────────────────────────────────────────────────────────────────────────────────

  onHandle(handle: TcpHandle): void {
    handle.setNoDelay(true);
    this.#take(handle, handle.fd, () => peerAddress(handle));
  }

  onSocket(socket: net.Socket): void {
    if (this.#tls?.acceptWrapped(socket) === true) return;
    const { isUnix } = this.acceptors;
    this.#take(socket, descriptorOf(socket), () => (isUnix ? '' : socket.remoteAddress));
  }

  /** @param addressOf the peer; empty: it has none. */
  #take(
    connection: TcpHandle | net.Socket,
    descriptor: number,
    addressOf: () => string | undefined,
  ): void {
    const isProxy = this.#proxies?.includes(addressOf()) === true;
    // Over TLS too it counts from its accept: a client that never ends its handshake must not get past the limit. Which client
    // a proxy is there for is known later.
    const network = this.#places.admit(descriptor, isProxy ? () => '' : addressOf);
    if (network === null) {
      close(connection);
      return;
    }
    const client = { network, proxied: null, terms: this.#terms };
    const { nowMs, view } = this.#context;
    const { headMs } = view.snapshot.timeouts;
    if (!isProxy) this.#begin(connection, client, null);
    else
      this.#orRelease(network, () =>
        this.#arrivals.accept(connection, nowMs, headMs, client.terms),
      );
  }

  /** @param read what has been read of the connection; of a socket it has been put back. */
  #begin(connection: TcpHandle | net.Socket, client: Client, read: Buffer | null): void {
    const { io, nowMs } = this.#context;
    const tls = this.#tls;
    if (connection instanceof net.Socket) {
      if (tls === null) {
        this.#accept((user) => new SocketStream(connection, user, false), client);
        return;
      }
      // Who leaves within the TLS handshake has left: half-open only from its end on.
      connection.allowHalfOpen = false;
      this.#orRelease(client.network, () => tls.acceptSocket(connection, client, nowMs));
    } else if (tls !== null) {
      this.#orRelease(client.network, () => tls.acceptHandle(connection, client, nowMs, read));
    } else {
      const open = (user: StreamUser) => new TcpStream(connection, user, io, read === null);
      const accepted = this.#accept(open, client);
      if (read !== null && read.length > 0) {
        guarded(accepted, () => accepted.onBytes(read, read.length));
      }
    }
  }

  onAcceptFailed(error: number | string): void {
    this.#places.acceptFailed(error);
  }

  onProxied(
    connection: TcpHandle | net.Socket,
    proxied: ProxiedClient | null,
    rest: Buffer,
    terms: number,
  ): void {
    this.#guard(
      () => {
        const network = proxied === null ? '' : this.#places.countFor(proxied.address);
        if (network !== null) {
          this.#begin(connection, { network, proxied, terms }, rest);
          return;
        }
        this.#places.release('');
        close(connection);
      },
      () => close(connection),
    );
  }

  onUnproxied(isBad: boolean): void {
    this.#places.release('');
    if (isBad) this.#context.countError('ERR_CLIENT_PROXY_HEADER');
  }

  /** Takes a step with an admitted client whose place is given back if it throws. */
  #orRelease(network: string, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#places.release(network);
      throw error;
    }
  }

  /**
   * Whatever it throws, the client's place is given back.
   * @param isCarried its TLS carrier counts.
   */
  #accept(
    open: (user: StreamUser) => ByteStream,
    { network, proxied, terms }: Client,
    secure: Secure | null = null,
    isCarried = false,
  ): OpenClient {
    const counts = isCarried ? null : network;
    const { httpsPort } = this.#spec;
    let connection: OpenClient | null = null;
    try {
      const carried: Carried = {
        isTls: secure !== null,
        clientFields: secure?.identity?.fields ?? '',
        proxied,
        httpsPort,
        serves: secure?.isHttp2 === true ? secure.serves : null,
        http2Faults: this.#http2Faults,
      };
      const onClosed = (closed: OpenClient): void => this.#forget(closed);
      connection = new (this.#speaker(secure))(this.#context, open, carried, onClosed);
      this.#connections.set(connection, counts);
      if (this.#isClosed || terms !== this.#terms) connection.beginDrain();
      return connection;
    } catch (error) {
      if (connection !== null) this.#forget(connection);
      else if (counts !== null) this.#places.release(counts);
      throw error;
    }
  }

  #speaker(secure: Secure | null) {
    if (secure === null) return this.#spec.h2c ? ProtocolChoice : ClientConnection;
    return secure.isHttp2 ? Http2Connection : ClientConnection;
  }

  #forget(connection: OpenClient): void {
    const client = this.#connections.get(connection);
    if (client === undefined) return;
    this.#connections.delete(connection);
    if (client !== null) this.#places.release(client);
    this.#host.onForgotten();
  }

  // ── What becomes of those that were accepted for TLS ────────────────────────────────────────────────────────────

  wrap(handle: TcpHandle): void {
    this.acceptors.wrap(handle);
  }

  onSecure(secure: Secure, client: Client, isCarried: boolean): void {
    const { identity, needsCertificate } = secure;
    const open = (user: StreamUser): ByteStream => secure.open(user);
    this.#guard(
      () => {
        const connection = this.#accept(open, client, secure, isCarried);
        const fault = identity?.fault ?? null;
        if (needsCertificate && fault !== null) {
          connection.refuse('ERR_CLIENT_CERTIFICATE', NOTHING, fault);
        }
      },
      () => secure.close(),
    );
  }

  onPlain(connection: TcpHandle | net.Socket, bytes: Buffer, client: Client): void {
    const { io } = this.#context;
    const open = (user: StreamUser): ByteStream => {
      if (!(connection instanceof net.Socket)) return new TcpStream(connection, user, io, false);
      connection.allowHalfOpen = true;
      return new SocketStream(connection, user, false);
    };
    this.#guard(
      () => this.#accept(open, client).refuse('ERR_CLIENT_PLAIN_HTTP', bytes),
      () => close(connection),
    );
  }

  onGone({ network }: Client): void {
    this.#places.release(network);
  }

  onHandshakeFailed(): void {
    this.#context.countError('ERR_CLIENT_TLS');
  }

  onCrashed(error: unknown): void {
    this.#context.barrier.connectionCrashed(error);
  }
}

function close(connection: TcpHandle | net.Socket): void {
  if (!(connection instanceof net.Socket)) {
    connection.close();
    return;
  }
  connection.on('error', () => {});
  connection.destroy();
}
