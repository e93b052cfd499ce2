/** The open sockets of a listener in this thread: one, or several that a process with more threads has listened on. */
import type { OpenedListener } from '../../snapshot/messages.ts';
import type { ListenerSnapshot } from '../../snapshot/snapshot.ts';
import type { TcpHandle } from '../stream/tcp-handles.ts';
import { Acceptor, type AcceptorUser, NO_SOCKET } from './acceptor.ts';

export class Acceptors {
  readonly #user: AcceptorUser;
  readonly #first: Acceptor;
  readonly #more: Acceptor[] = [];

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
    const [first = NO_SOCKET, ...more] = sockets;
    const opened = await this.#first.listen(spec, reusePort, first);
    for (const socket of more) {
      const acceptor = new Acceptor(this.#user);
      this.#more.push(acceptor);
      await acceptor.listen(spec, reusePort, socket);
    }
    const all = [this.#first, ...this.#more].map(({ descriptor }) => descriptor);
    return { ...opened, descriptors: all.filter((descriptor) => descriptor !== NO_SOCKET) };
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
  }
}
