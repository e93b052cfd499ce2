/** A connection on one of Node's own sockets: over TLS, and wherever TCP handles are not what we know. */
import net from 'node:net';
import type { ConnectionEnds } from '../../net/proxy-header.ts';
import type { ByteStream, StreamUser } from './byte-stream.ts';
import type { TcpHandle } from './tcp-handles.ts';
import { hasEndedBelow } from './tls-handles.ts';

/** The handle behind a socket: it alone knows how much of a write has left. */
interface SocketHandle {
  readonly writeQueueSize?: number;
  readonly reading?: boolean;
  /** Over TLS: what the encrypted bytes go through. */
  readonly _parent?: Partial<TcpHandle>;
  readonly getpeername?: unknown;
}

export class SocketStream implements ByteStream {
  /** With `onread` only, and where Node's handles are as they were; else TLS tells both ends alike. */
  hasBareEnd = false;
  readonly #socket: GuardedSocket;
  readonly #user: StreamUser;
  #hasWriteFailed = false;
  #hasReadEnded = false;
  #isClosed = false;

  /**
   * The socket must be connected.
   * @param hasOnread whether its bytes come by `deliver`, from its `onread`; otherwise they come as 'data' events.
   */
  constructor(socket: net.Socket, user: StreamUser, hasOnread: boolean) {
    this.#socket = socket;
    this.#user = user;
    guard(socket, this);
    if (hasOnread) {
      socket.push = pushAndTellEnd;
    } else {
      socket.on('data', (chunk: Buffer) => this.deliver(chunk, chunk.length));
      socket.on('end', () => this.noteReadEnd());
    }
    socket.on('drain', () => this.#tell(() => this.#user.onDrain()));
    socket.on('error', (error) => this.#close(error.message));
    socket.on('close', () => this.#close('the connection closed'));
  }

  get needsDrain(): boolean {
    return this.#socket.writableNeedDrain && !this.#hasWriteFailed;
  }

  get unsentBytes(): number {
    return this.#socket.writableLength + (handleOf(this.#socket)?.writeQueueSize ?? 0);
  }

  get heldBytes(): number {
    return this.unsentBytes;
  }

  get isFlushed(): boolean {
    return this.#socket.writableLength === 0;
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  get ends(): ConnectionEnds | null {
    const { remoteAddress: address, remotePort: port, localAddress, localPort } = this.#socket;
    if (address === undefined || port === undefined) return null;
    if (localAddress === undefined || localPort === undefined) return null;
    return { address, port, localAddress, localPort };
  }

  /** Nobody may ask for the peer's address before: Node keeps the answer. */
  get isReset(): boolean {
    // A unix socket has no address at any time, and knows no reset.
    return (
      !this.#socket.writableEnded && isTcp(this.#socket) && this.#socket.remoteAddress === undefined
    );
  }

  deliver(buffer: Buffer, length: number): void {
    if (this.#isClosed) return;
    try {
      this.#user.onBytes(buffer, length);
    } catch (error) {
      this.#crash(error);
    }
  }

  writeText(text: string): void {
    if (!this.#hasWriteFailed) this.#socket.write(text, 'latin1');
  }

  writeBytes(bytes: Buffer): void {
    if (!this.#hasWriteFailed) this.#socket.write(bytes);
  }

  writeBorrowed(buffer: Buffer, start: number, end: number): void {
    this.writeBytes(Buffer.from(buffer.subarray(start, end)));
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  rest(): void {}

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  reset(): void {
    this.#isClosed = true;
    // Over TLS a close without close_notify is what tells a truncated message from a complete one. A unix socket has no reset,
    // and no address.
    const hasAddress = this.#socket.remoteAddress !== undefined;
    if ('encrypted' in this.#socket || !hasAddress) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  enableTcpKeepAlive(idleMs: number): void {
    this.#socket.setKeepAlive(true, idleMs);
  }

  /** A write that fails now ends the writing only: what was read may not be all that is there. */
  get outlivesWriteErrors(): boolean {
    return !(this.#isClosed || this.#hasWriteFailed || this.#hasReadEnded);
  }

  noteWriteFailed(error: Error): void {
    this.#hasWriteFailed = true;
    process.nextTick(() => this.#tell(() => this.#user.onWriteFailed(error.message)));
  }

  noteReadEnd(): void {
    if (this.#hasReadEnded) return;
    this.#hasReadEnded = true;
    this.#tell(() => this.#user.onEnd());
  }

  #tell(event: () => void): void {
    if (this.#isClosed) return;
    try {
      event();
    } catch (error) {
      this.#crash(error);
    }
  }

  #crash(error: unknown): void {
    this.#user.onCrashed(error);
    this.destroy();
  }

  #close(detail: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.destroy();
    try {
      this.#user.onClosed(detail);
    } catch (error) {
      this.#crash(error);
    }
  }
}

const OWNER = Symbol('owner');

interface GuardedSocket extends net.Socket {
  [OWNER]?: SocketStream;
}

const { destroy: destroySocket, push: pushRead } = net.Socket.prototype;

/**
 * Keeps a failed write from throwing away what has already arrived, and from hiding its end.
 *
 * A backend that answers 413 and closes makes our next write fail with EPIPE or ECONNRESET, and Node then destroys the
 * socket with the unread answer in its receive buffer (http-party/node-http-proxy#1677). Here a write error only stops the
 * writing; the read side goes on until it ends by itself, or until the user's deadline. After a write error Node emits no
 * 'end' any more, so where it matters the end of reading is taken from where Node itself reports it: push(null).
 */
function guard(socket: GuardedSocket, owner: SocketStream): void {
  socket[OWNER] = owner;
  socket.destroy = destroyUnlessWriteFailed;
}

function destroyUnlessWriteFailed(this: GuardedSocket, error?: Error): GuardedSocket {
  const failure = error as NodeJS.ErrnoException | undefined;
  if (failure?.syscall === 'write' && this[OWNER]?.outlivesWriteErrors === true) {
    this[OWNER].noteWriteFailed(failure);
    return this;
  }
  return destroySocket.call(this, error) as GuardedSocket;
}

function handleOf(socket: net.Socket): SocketHandle | null {
  return (socket as unknown as { readonly _handle: SocketHandle | null })._handle;
}

function isTcp(socket: net.Socket): boolean {
  const handle = handleOf(socket);
  if (handle === null) return true;
  const { _parent: carrier = handle } = handle;
  return carrier.getpeername !== undefined;
}

/** Within the call of the handle that tells the end: whether TLS has not told it. */
function isBareEnd(socket: net.Socket): boolean {
  const { reading = false, _parent: carrier } = handleOf(socket) ?? {};
  // While nothing is read, a FIN is not told.
  if (!reading || carrier?.readStart === undefined || carrier.readStop === undefined) return false;
  return hasEndedBelow({ carrier: carrier as TcpHandle });
}

/** With `onread` no bytes pass through here, only the end. */
function pushAndTellEnd(this: GuardedSocket, chunk: unknown, encoding?: BufferEncoding): boolean {
  const owner = this[OWNER];
  if (chunk === null && owner !== undefined) owner.hasBareEnd = isBareEnd(this);
  const mayGoOn = pushRead.call(this, chunk, encoding);
  if (chunk === null) owner?.noteReadEnd();
  return mayGoOn;
}
