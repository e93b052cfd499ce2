/** Opens a connection to a host, with TLS if it is asked for. */
import net from 'node:net';
import tls from 'node:tls';
import { AddressRace, noDescriptor, type RaceUser } from '../../net/address-race.ts';
import { type Address, atPath, literalAddress } from '../../net/addresses.ts';
import { codeOf } from '../../snapshot/own-shortage.ts';
import { letGo } from '../barrier.ts';
import type { Waiting } from '../deadlines.ts';
import type { ByteStream, StreamUser } from './byte-stream.ts';
import { type ClientTerms, DEFAULT_TERMS, sniOf } from './client-terms.ts';
import type { LookupUser } from './lookups.ts';
import { SocketStream } from './socket-stream.ts';
import { descriptorOf, isKnownHandle, type TcpHandle, writeFirst } from './tcp-handles.ts';
import { TcpStream } from './tcp-stream.ts';
import type { ThreadIo } from './thread-io.ts';
import { hasTlsHandles, type TlsHandle } from './tls-handles.ts';
import { beginTls, type HandshakeUser } from './tls-handshake.ts';
import { TlsStream } from './tls-stream.ts';

export interface Destination {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** Of a Unix socket, in place of host and port; empty or not there: none. */
  readonly socketPath?: string;
}

/** One of the two is called, once, unless the attempt is given up before. */
export interface ConnectUser extends StreamUser {
  /** Whether a connection that is being opened may have this file descriptor; else it fails with EMFILE. */
  mayHave(descriptor: number): boolean;
  /**
   * @param address the one of the host's that the connection leads to; empty for a Unix socket.
   * @param protocol what the server has chosen (ALPN); empty: nothing, or it was not asked.
   */
  onConnected(stream: ByteStream, address: string, protocol: string): void;
  onConnectFailed(error: Error): void;
}

export interface Connecting {
  /** Gives up, silently. */
  cancel(): void;
}

/** @param prelude what is sent first, before TLS. */
export function connect(
  destination: Destination,
  user: ConnectUser,
  io: ThreadIo,
  terms = DEFAULT_TERMS,
  prelude: Buffer | null = null,
): Connecting {
  const opening = new Opening(destination, user, io, terms, prelude);
  opening.begin();
  return opening;
}

/** The way to a stream: the name is looked up, one of its addresses found that answers, and TLS begun. */
class Opening implements Connecting, LookupUser, RaceUser, HandshakeUser, Waiting {
  readonly #destination: Destination;
  readonly #user: ConnectUser;
  readonly #io: ThreadIo;
  readonly #terms: ClientTerms;
  readonly #prelude: Buffer | null;
  /** Empty: none. */
  readonly #socketPath: string;
  readonly #isTlsOfSocket: boolean;
  #isOver = false;
  /** Of the step that is under way. */
  #giveUp: () => void = nothing;
  #address = '';
  #stream: SocketStream | null = null;

  constructor(
    destination: Destination,
    user: ConnectUser,
    io: ThreadIo,
    terms: ClientTerms,
    prelude: Buffer | null,
  ) {
    this.#destination = destination;
    this.#user = user;
    this.#io = io;
    this.#terms = terms;
    this.#prelude = prelude;
    this.#socketPath = destination.socketPath ?? '';
    this.#isTlsOfSocket = destination.tls && !hasTlsHandles();
  }

  begin(): void {
    const { host } = this.#destination;
    const { lookups } = this.#io;
    if (this.#socketPath !== '') {
      this.#race(atPath(this.#socketPath));
      return;
    }
    const addresses = literalAddress(host) ?? lookups.find(host, this);
    if (addresses !== null) this.#race(addresses);
    else this.#giveUp = () => lookups.callOff(host, this);
  }

  cancel(): void {
    this.#isOver = true;
    this.#giveUp();
  }

  // ── The name ────────────────────────────────────────────────────────────────────────────────────────────────────

  onAddresses(addresses: readonly Address[]): void {
    if (this.#isOver) return;
    try {
      this.#race(addresses);
    } catch (error) {
      this.onCrashed(error);
    }
  }

  onLookupFailed(error: Error): void {
    this.#fail(error);
  }

  // ── Its addresses ───────────────────────────────────────────────────────────────────────────────────────────────

  #race(addresses: readonly Address[]): void {
    const race = new AddressRace(addresses, this, this.#io.deadlines);
    this.#giveUp = () => race.giveUp();
    race.begin();
  }

  open(address: string): net.Socket {
    const { host, port } = this.#destination;
    const shared = {
      allowHalfOpen: true,
      onread: {
        buffer: this.#io.shared,
        callback: (length: number, buffer: Uint8Array) => {
          this.#stream?.deliver(buffer as Buffer, length);
          return true;
        },
      },
    };
    if (this.#socketPath !== '') return net.connect({ ...shared, path: address });
    const options = { ...shared, host: address, port, noDelay: true };
    if (!this.#isTlsOfSocket) return net.connect(options);
    const name = this.#terms.nameOf(host);
    const sni = sniOf(name);
    return tls.connect({
      ...(this.#prelude === null ? options : { socket: preluded(address, port, this.#prelude) }),
      secureContext: this.#terms.context,
      rejectUnauthorized: this.#terms.verifies,
      ...(sni === undefined ? {} : { servername: sni }),
      checkServerIdentity: (_asked, certificate) => tls.checkServerIdentity(name, certificate),
      ALPNProtocols: [...this.#terms.offered],
    });
  }

  mayStay(socket: net.Socket): boolean {
    return this.#user.mayHave(descriptorOf(socket));
  }

  onLost(error: Error): void {
    if (this.#socketPath === '' || codeOf(error) !== 'EAGAIN') {
      this.#fail(error);
      return;
    }
    // As many wait for the server as may. Over TCP the system would try again; here it is our turn, until our time is over.
    const { deadlines } = this.#io;
    const deadline = deadlines.set(deadlines.now() + FULL_AGAIN_MS, this);
    this.#giveUp = () => deadlines.callOff(deadline);
  }

  onDue(): void {
    this.#race(atPath(this.#socketPath));
  }

  onWon(socket: net.Socket, address: string): void {
    this.#giveUp = () => void socket.destroy();
    // Of a Unix socket there is no word before it is connected.
    if (this.#socketPath !== '' && !this.mayStay(socket)) {
      this.#fail(noDescriptor());
      return;
    }
    this.#address = this.#socketPath === '' ? address : '';
    if (!this.#isTlsOfSocket) {
      this.#use(socket);
      return;
    }
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the connection closed')));
    socket.on('secureConnect', () => this.#use(socket));
  }

  #use(socket: net.Socket): void {
    if (this.#isOver) return;
    const handle = this.#isTlsOfSocket ? null : takeHandle(socket);
    try {
      if (handle === null) {
        this.#useSocket(socket);
      } else {
        this.#giveUp = () => handle.close();
        this.#useHandle(handle);
      }
    } catch (exception) {
      this.onCrashed(exception);
    }
  }

  #useSocket(socket: net.Socket): void {
    if (this.#destination.tls && !this.#isTlsOfSocket) {
      this.#fail(new Error('there is no handle for TLS to run on'));
      return;
    }
    this.#isOver = true;
    if (this.#prelude !== null && !this.#isTlsOfSocket) socket.write(this.#prelude);
    // Node has no `onread` for TLS on a socket of ours.
    const hasOnread = !(this.#isTlsOfSocket && this.#prelude !== null);
    this.#stream = new SocketStream(socket, this.#user, hasOnread);
    const chosen = this.#isTlsOfSocket ? (socket as tls.TLSSocket).alpnProtocol : null;
    this.#user.onConnected(this.#stream, this.#address, chosen || '');
  }

  #useHandle(handle: TcpHandle): void {
    if (this.#prelude !== null) writeFirst(handle, this.#prelude);
    if (this.#destination.tls) {
      this.#giveUp = beginTls(handle, this.#terms, this.#destination, this.#io, this);
    } else {
      this.#isOver = true;
      this.#user.onConnected(new TcpStream(handle, this.#user, this.#io, false), this.#address, '');
    }
  }

  // ── TLS on a handle ─────────────────────────────────────────────────────────────────────────────────────────────

  onHandshakeFailed(error: Error): void {
    this.#fail(error);
  }

  onSecure(handle: TlsHandle): void {
    this.#isOver = true;
    const chosen = handle.getALPNNegotiatedProtocol();
    this.#user.onConnected(
      new TlsStream(handle, this.#user, this.#io),
      this.#address,
      chosen || '',
    );
  }

  // ── Its end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#giveUp();
    try {
      this.#user.onConnectFailed(error);
    } catch (exception) {
      this.#user.onCrashed(exception);
    }
  }

  /** An exception came out of a callback: the user lets go, and whatever was open is closed. */
  onCrashed(error: unknown): void {
    this.#isOver = true;
    this.#user.onCrashed(error);
    letGo(this.#giveUp);
  }
}

/** Until a connection is tried again that the server has no place for. */
const FULL_AGAIN_MS = 20;

function nothing(): void {}

/** It goes out as soon as the socket is connected, before what is put on top of that. */
function preluded(host: string, port: number, prelude: Buffer): net.Socket {
  const socket = net.connect({ host, port, noDelay: true, allowHalfOpen: true });
  socket.write(prelude);
  return socket;
}

/** The socket has done its work, which was to find an address that answers: its handle is ours, and it is let go. */
export function takeHandle(socket: net.Socket): TcpHandle | null {
  const holder = socket as unknown as { _handle: unknown };
  const handle = holder._handle;
  if (!isKnownHandle(handle)) return null;
  holder._handle = null;
  handle.owner = null;
  return handle;
}
