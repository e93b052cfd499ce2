/**
 * Second descriptors of sockets that a data thread listens on. Node closes a thread's sockets when it ends, and can't duplicate
 * them; but a descriptor that is sent over a unix socket arrives as another one (SCM_RIGHTS, unix(7)). So this process
 * has a pair of connected sockets, and sends to itself. Their handles are not documented: where they are not what we know,
 * there are no copies. See docs/decisions/0037-replaced-threads.md.
 *
 * Node has no end of a connection that takes descriptors but the one that has connected. The other end is opened a second
 * time as one that does; so two handles have it, and neither is ever closed: there is one pair in a process, to its end.
 */
import { randomBytes } from 'node:crypto';
import { getSystemErrorName } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { socketInode } from '../../net/socket-inode.ts';

const STEP_MS = 2_000;

interface Handle {
  readonly fd: number;
  close(): void;
  unref(): void;
}

interface PipeHandle extends Handle {
  pendingHandle?: Handle | undefined;
  onread: () => void;
  onconnection: (status: number, handle: Handle) => void;
  bind(name: string): number;
  listen(backlog: number): number;
  connect(request: { oncomplete?: (status: number) => void }, name: string): number;
  open(descriptor: number): number;
  readStart(): number;
  writeUtf8String(request: object, text: string, handle: Handle): number | object;
}

interface Bindings {
  readonly Pipe: new (kind: number) => PipeHandle;
  readonly PipeConnectWrap: new () => { oncomplete?: (status: number) => void };
  readonly WriteWrap: new () => { oncomplete?: () => void };
  readonly kinds: { readonly SOCKET: number; readonly SERVER: number; readonly IPC: number };
}

/** One more descriptor of a socket. */
export class SocketCopy {
  readonly inode: string;
  readonly #handle: Handle;
  readonly #copies: SocketCopies;

  constructor(handle: Handle, inode: string, copies: SocketCopies) {
    this.inode = inode;
    this.#handle = handle;
    this.#copies = copies;
  }

  get descriptor(): number {
    return this.#handle.fd;
  }

  /** Another one beside this. @throws why there is none */
  copy(): Promise<SocketCopy> {
    return this.#copies.copyHandle(this.#handle, this.inode);
  }

  close(): void {
    this.#handle.close();
  }

  /** For one that was given away: nobody may have opened it. Whoever has, and has closed it since, has freed its number. */
  closeIfStillOurs(): void {
    const isSameSocket = socketInode(this.descriptor) === this.inode;
    if (isSameSocket && this.#copies.latestWith(this.descriptor) === this) this.close();
  }
}

export class SocketCopies {
  static #ofProcess: Promise<SocketCopies> | undefined;

  /** Rejects with why there can't be copies here. */
  static ofProcess(): Promise<SocketCopies> {
    SocketCopies.#ofProcess ??= makeCopies();
    return SocketCopies.#ofProcess;
  }

  readonly #bindings: Bindings;
  readonly #near: PipeHandle;
  readonly #far: PipeHandle;
  #onArrived: ((handle: Handle | undefined) => void) | undefined;
  /** Which copy has got a number last: that may be another one of the same socket. */
  readonly #latest = new Map<number, SocketCopy>();
  /** One at a time: so each belongs to who has asked for it. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(bindings: Bindings, near: PipeHandle, far: PipeHandle) {
    this.#bindings = bindings;
    this.#near = near;
    this.#far = far;
    far.onread = () => this.#arrived();
    check(far.readStart(), 'read');
  }

  /**
   * Of a socket that another thread has. Rejects with why there is none.
   * @param inode the socket that it is: the thread may have closed it by now, and its number be another's.
   */
  async copy(descriptor: number, inode: string): Promise<SocketCopy> {
    // It is never closed: the descriptor is the other thread's.
    const handle = new this.#bindings.Pipe(this.#bindings.kinds.SOCKET);
    check(handle.open(descriptor), 'open');
    handle.unref();
    return this.copyHandle(handle, inode);
  }

  copyHandle(handle: Handle, inode: string): Promise<SocketCopy> {
    const copied = this.#last.then(() => this.#send(handle, inode));
    this.#last = copied.catch(() => {});
    return copied;
  }

  latestWith(descriptor: number): SocketCopy | undefined {
    return this.#latest.get(descriptor);
  }

  async #send(handle: Handle, inode: string): Promise<SocketCopy> {
    const arriving = new Promise<Handle | undefined>((resolve) => {
      this.#onArrived = resolve;
    });
    const request = new this.#bindings.WriteWrap();
    request.oncomplete = () => {};
    const result = this.#near.writeUtf8String(request, '.', handle);
    if (typeof result === 'number') check(result, 'write');
    const arrived = await inTime(arriving, 'a descriptor has not arrived');
    // The system drops it where this process may have no more of them.
    if (arrived === undefined) throw new Error('no descriptor has arrived: too many are open');
    arrived.unref();
    if (socketInode(arrived.fd) !== inode) {
      arrived.close();
      throw new Error('the socket has been closed');
    }
    const copy = new SocketCopy(arrived, inode, this);
    this.#latest.set(arrived.fd, copy);
    return copy;
  }

  #arrived(): void {
    const handle = this.#far.pendingHandle;
    this.#far.pendingHandle = undefined;
    if (this.#onArrived === undefined) handle?.close();
    this.#onArrived?.(handle);
    this.#onArrived = undefined;
  }
}

const METHODS = [
  'bind',
  'listen',
  'connect',
  'open',
  'readStart',
  'writeUtf8String',
  'close',
  'unref',
] as const satisfies readonly (keyof PipeHandle)[];

/** @throws why they can't be used */
function findBindings(): Bindings {
  // The handles of a thread are closed with it, those whose descriptors are another's by then among them.
  if (!isMainThread) throw new Error('this is not the main thread');
  const { binding } = process as unknown as {
    binding?: (name: string) => Partial<Bindings> & { readonly constants?: Bindings['kinds'] };
  };
  // Under Node's permission model there is no way to it: this throws.
  const { Pipe, PipeConnectWrap, constants } = binding?.('pipe_wrap') ?? {};
  const { WriteWrap } = binding?.('stream_wrap') ?? {};
  const isKnown =
    typeof Pipe === 'function' &&
    typeof PipeConnectWrap === 'function' &&
    typeof WriteWrap === 'function' &&
    Number.isInteger(constants?.IPC) &&
    METHODS.every((name) => typeof Pipe.prototype[name] === 'function');
  if (!isKnown) throw new Error(`the handles of Node ${process.versions.node} are not known`);
  return { Pipe, PipeConnectWrap, WriteWrap, kinds: constants as Bindings['kinds'] };
}

/** Whoever else connected to it in its short life would get nothing: what is sent goes to the end that we have connected. */
async function makeCopies(): Promise<SocketCopies> {
  const bindings = findBindings();
  const { Pipe, PipeConnectWrap, kinds } = bindings;
  // No file: the name is gone with the socket.
  const name = `\0fairlead-${randomBytes(16).toString('hex')}`;
  const server = new Pipe(kinds.SERVER);
  const near = new Pipe(kinds.IPC);
  const far = new Pipe(kinds.IPC);
  for (const handle of [server, near, far]) handle.unref();
  try {
    const accepted = new Promise<void>((resolve, reject) => {
      server.onconnection = (status, handle) => {
        const error = status === 0 ? far.open(handle.fd) : status;
        handle?.unref();
        if (error === 0) resolve();
        else reject(fault(error, 'accept'));
      };
    });
    const connected = new Promise<void>((resolve, reject) => {
      check(server.bind(name), 'bind');
      check(server.listen(1), 'listen');
      const request = new PipeConnectWrap();
      request.oncomplete = (status) =>
        status === 0 ? resolve() : reject(fault(status, 'connect'));
      check(near.connect(request, name), 'connect');
    });
    await inTime(Promise.all([connected, accepted]), 'a socket was not connected');
    return new SocketCopies(bindings, near, far);
  } finally {
    server.close();
  }
}

function check(error: number, call: string): void {
  if (error !== 0) throw fault(error, call);
}

function fault(error: number, call: string): Error {
  return new Error(`${call} ${getSystemErrorName(error)}`);
}

async function inTime<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} within ${STEP_MS / 1000} s`)), STEP_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
