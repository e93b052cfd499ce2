/** The open address of a listener: accepts connections, as handles where Node's are what we know, as sockets elsewhere. */
import net from 'node:net';
import type { OpenedListener } from '../../snapshot/messages.ts';
import type { ListenerSnapshot } from '../../snapshot/snapshot.ts';
import { letGo } from '../barrier.ts';
import { isKnownHandle, type TcpHandle } from '../stream/tcp-handles.ts';
import { SocketFile } from './socket-file.ts';

const BACKLOG = 4096;

/** One has yet to be opened. */
export const NO_SOCKET = -1;

function notThere(name: string): Error {
  const message = `no socket called ${name} was open at the start (LISTEN_FDNAMES), or another listener has had it since`;
  return Object.assign(new Error(message), { code: 'EBADF' });
}

type OpenedAddress = Omit<OpenedListener, 'sockets'>;

interface ListenOptions extends net.ListenOptions {
  /** SO_REUSEPORT; Node ≥ 22.12 on Linux. The types of the oldest Node we run on do not know it. */
  readonly reusePort?: boolean;
  /** A descriptor that is listened on already. */
  readonly fd?: number;
}

interface ServerHandle {
  readonly fd?: number;
  onconnection?: (error: number, handle: unknown) => void;
}

/** Who gets the connections. What it throws costs the connection. */
export interface AcceptorUser {
  onHandle(handle: TcpHandle): void;
  onSocket(socket: net.Socket): void;
  /** @param error as Node has it, or its code. */
  onAcceptFailed(error: number | string): void;
  onCrashed(error: unknown): void;
}

export class Acceptor {
  readonly #user: AcceptorUser;
  readonly #server: net.Server;
  #file: SocketFile | null = null;
  /** Its clients have no address. Known once it listens: what was handed to us may be either. */
  isUnix = false;
  /** What makes a socket of an accepted handle; null: every connection comes as a socket. */
  #makeSocket: ((handle: TcpHandle) => void) | null = null;
  #isClosed = false;

  constructor(user: AcceptorUser) {
    this.#user = user;
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#guard(
        () => user.onSocket(socket),
        () => socket.destroy(),
      ),
    );
  }

  /**
   * @param socket that is listened on already.
   * @throws what the system says, EADDRINUSE above all.
   */
  async listen(spec: ListenerSnapshot, reusePort: boolean, socket: number): Promise<OpenedAddress> {
    const { id, address, descriptor } = spec;
    if (socket !== NO_SOCKET && address.kind === 'unix') {
      await this.#listen({ fd: socket });
      this.isUnix = true;
      this.#file = SocketFile.adopted(address.path, address.mode);
      return { id, host: address.path, port: 0 };
    }
    if (descriptor !== NO_SOCKET || socket !== NO_SOCKET) {
      await this.#listen({ fd: socket === NO_SOCKET ? descriptor : socket });
      const bound = this.#server.address() as net.AddressInfo | string | null;
      if (typeof bound === 'object' && bound !== null) {
        return { id, host: bound.address, port: bound.port };
      }
      this.isUnix = true;
      return { id, host: bound ?? spec.name, port: 0 };
    }
    if (address.kind === 'inherited') throw notThere(address.name);
    if (address.kind === 'tcp') {
      const { host, port } = address;
      await this.#listen({
        port,
        ...(host === undefined ? {} : { host }),
        ...(reusePort ? { reusePort } : {}),
      });
      const bound = this.#server.address() as net.AddressInfo;
      return { id, host: bound.address, port: bound.port };
    }
    this.isUnix = true;
    const file = new SocketFile(address.path);
    await file.prepare();
    await this.#listen({ path: file.ownPath }).catch((error: NodeJS.ErrnoException) => {
      throw file.explained(error);
    });
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
          this.#user.onAcceptFailed(error.code ?? error.message),
        );
        resolve();
      });
    });
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
      if (error) this.#user.onAcceptFailed(error);
      else if (isKnownHandle(clientHandle)) this.#user.onHandle(clientHandle);
      else original.call(handle, error, clientHandle);
    };
    handle.onconnection = (error, clientHandle) =>
      this.#guard(
        () => take(error, clientHandle),
        () => (clientHandle as TcpHandle | undefined)?.close(),
      );
  }

  /** Makes the handle a socket, and tells of it within the call. */
  wrap(handle: TcpHandle): void {
    this.#makeSocket?.(handle);
  }

  /** Of what it listens on; −1: nobody knows. */
  get descriptor(): number {
    const handle = (this.#server as unknown as { readonly _handle?: ServerHandle | null })._handle;
    return handle?.fd ?? NO_SOCKET;
  }

  setMode(mode: number): void {
    this.#file?.setMode(mode);
  }

  /** It is another process's to remove. */
  leaveFile(): void {
    this.#file = null;
  }

  close(): void {
    this.#isClosed = true;
    this.#server.close();
    letGo(() => this.#file?.remove());
  }

  /** @param close what is left of the connection if it can't be taken on. */
  #guard(step: () => void, close: () => void): void {
    try {
      step();
    } catch (error) {
      this.#user.onCrashed(error);
      letGo(close);
    }
  }
}
