/**
 * The open sockets of a listener in this thread: one, or several that a process with more threads has listened on. And those of
 * other threads, as long as these can't accept.
 */
import { socketInode } from '../../net/socket-inode.ts';
import type { OpenedListener } from '../../snapshot/messages.ts';
import type { ListenerSnapshot } from '../../snapshot/snapshot.ts';
import type { TcpHandle } from '../stream/tcp-handles.ts';
import { Acceptor, type AcceptorUser, NO_SOCKET } from './acceptor.ts';

export class Acceptors {
  readonly #user: AcceptorUser;
  readonly #first: Acceptor;
  readonly #more: Acceptor[] = [];
  /** By the thread whose they are. */
  readonly #standIns = new Map<number, Acceptor[]>();
  #spec: ListenerSnapshot | undefined;

  constructor(user: AcceptorUser) {
    this.#user = user;
    this.#first = new Acceptor(user);
  }

  get isUnix(): boolean {
    return this.#first.isUnix;
  }

  /** @throws what the system says, EADDRINUSE above all. */
  async listen(
    spec: ListenerSnapshot,
    reusePort: boolean,
    sockets: readonly number[],
  ): Promise<OpenedListener> {
    this.#spec = spec;
    const [first = NO_SOCKET, ...more] = sockets;
    const opened = await this.#first.listen(spec, reusePort, first);
    for (const socket of more) {
      const acceptor = new Acceptor(this.#user);
      this.#more.push(acceptor);
      await acceptor.listen(spec, reusePort, socket);
    }
    const all = [this.#first, ...this.#more].map(({ descriptor }) => descriptor);
    const known = all.filter((descriptor) => descriptor !== NO_SOCKET);
    return {
      ...opened,
      sockets: known.map((descriptor) => ({ descriptor, inode: socketInode(descriptor) })),
    };
  }

  /** @returns those of them that are open now */
  async standIn(thread: number, sockets: readonly number[]): Promise<number[]> {
    this.endStandIn(thread);
    const spec = this.#spec;
    if (spec === undefined) return [];
    const open: number[] = [];
    const acceptors: Acceptor[] = [];
    this.#standIns.set(thread, acceptors);
    for (const socket of sockets) {
      // It has ended meanwhile.
      if (this.#standIns.get(thread) !== acceptors) break;
      const acceptor = new Acceptor(this.#user);
      acceptors.push(acceptor);
      // Whoever waits there waits on, until that thread is back.
      const isOpen = await acceptor.listen(spec, false, socket).then(
        () => true,
        () => false,
      );
      if (isOpen) open.push(socket);
    }
    return open;
  }

  endStandIn(thread: number): void {
    for (const acceptor of this.#standIns.get(thread) ?? []) acceptor.close();
    this.#standIns.delete(thread);
  }

  /** Makes the handle a socket, and tells of it within the call. */
  wrap(handle: TcpHandle): void {
    this.#first.wrap(handle);
  }

  setMode(mode: number): void {
    this.#first.setMode(mode);
  }

  leaveFile(): void {
    this.#first.leaveFile();
  }

  close(): void {
    this.#first.close();
    for (const acceptor of this.#more) acceptor.close();
    for (const thread of this.#standIns.keys()) this.endStandIn(thread);
  }
}
