/**
 * The sockets of all data threads, kept by this process beside them: a thread that ends closes its own descriptors, and the
 * system resets whoever waits in the queue of a socket that nobody has any more. What is kept is never listened on here, and
 * whoever is to listen gets a copy of it.
 */
import type { Logger } from '../../observe/logger.ts';
import type { ListeningSocket } from '../../snapshot/messages.ts';
import type { ListenerSnapshot } from '../../snapshot/snapshot.ts';
import { SocketCopies, type SocketCopy } from './socket-copies.ts';

/** What one thread listens on at one listener. */
interface Kept {
  readonly inodes: readonly string[];
  copies: readonly SocketCopy[];
}

export class KeptSockets {
  readonly #log: Logger;
  /** By listener and thread. */
  readonly #kept = new Map<number, Map<number, Kept>>();
  /** A thread may say that it has opened one of them when it is to be closed already. */
  readonly #closed = new Set<number>();
  #areNoneToldOf = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * Keeps what a thread listens on, and nothing else of it any more. Where that can't be, it is logged, and the sockets are
   * the thread's alone.
   */
  async keep(
    listenerId: number,
    thread: number,
    sockets: readonly ListeningSocket[],
  ): Promise<void> {
    const inodes = sockets.map(({ inode }) => inode);
    const before = this.#kept.get(listenerId)?.get(thread);
    if (before !== undefined && String(before.inodes) === String(inodes)) return;
    this.drop(listenerId, thread);
    if (inodes.length === 0 || inodes.includes('') || this.#closed.has(listenerId)) return;
    const kept: Kept = { inodes, copies: [] };
    const byThread = this.#kept.get(listenerId) ?? new Map<number, Kept>();
    this.#kept.set(listenerId, byThread.set(thread, kept));
    const copies = await this.#copyAll((all) =>
      sockets.map(({ descriptor, inode }) => all.copy(descriptor, inode)),
    );
    const isWanted = this.#kept.get(listenerId)?.get(thread) === kept;
    if (isWanted && copies !== undefined) {
      kept.copies = copies;
      return;
    }
    for (const copy of copies ?? []) copy.close();
    if (isWanted) this.drop(listenerId, thread);
  }

  has(listenerId: number, thread: number): boolean {
    return (this.#kept.get(listenerId)?.get(thread)?.copies.length ?? 0) > 0;
  }

  /** To be given away. Undefined: nothing is kept, or nothing can be had of it any more, and it is let go. */
  async copiesOf(listenerId: number, thread: number): Promise<readonly SocketCopy[] | undefined> {
    const kept = this.#kept.get(listenerId)?.get(thread);
    if (kept === undefined || kept.copies.length === 0) return undefined;
    const copies = await this.#copyAll(() => kept.copies.map((copy) => copy.copy()));
    // A thread will open a socket of its own: nobody would accept on these any more.
    if (copies === undefined) this.drop(listenerId, thread);
    return copies;
  }

  /** What of this listener is kept for a thread, by thread. */
  descriptorsOf(listenerId: number): ReadonlyMap<number, readonly number[]> {
    const byThread = Array.from(this.#kept.get(listenerId) ?? []);
    return new Map(
      byThread
        .filter(([, { copies }]) => copies.length > 0)
        .map(([thread, { copies }]) => [thread, copies.map(({ descriptor }) => descriptor)]),
    );
  }

  /** Whatever is still said of it: clients would wait there for nobody. */
  close(listenerId: number): void {
    this.#closed.add(listenerId);
    for (const thread of this.#kept.get(listenerId)?.keys() ?? []) this.drop(listenerId, thread);
    this.#kept.delete(listenerId);
  }

  closeAllBut(listeners: readonly ListenerSnapshot[]): void {
    const ids = new Set(listeners.map(({ id }) => id));
    for (const id of this.#kept.keys()) if (!ids.has(id)) this.close(id);
  }

  /** What was kept of this thread's. */
  drop(listenerId: number, thread: number): void {
    const byThread = this.#kept.get(listenerId);
    for (const copy of byThread?.get(thread)?.copies ?? []) copy.close();
    byThread?.delete(thread);
  }

  /** All of them, or none. */
  async #copyAll(
    ask: (copies: SocketCopies) => readonly Promise<SocketCopy>[],
  ): Promise<readonly SocketCopy[] | undefined> {
    const asked = await SocketCopies.ofProcess().then(
      (copies) => Promise.allSettled(ask(copies)),
      (reason: unknown): PromiseSettledResult<SocketCopy>[] => [{ status: 'rejected', reason }],
    );
    const copies = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    if (copies.length === asked.length) return copies;
    for (const copy of copies) copy.close();
    for (const one of asked) if (one.status === 'rejected') this.#tell(one.reason);
    return undefined;
  }

  #tell(reason: unknown): void {
    if (this.#areNoneToldOf) return;
    this.#areNoneToldOf = true;
    const why = reason instanceof Error ? reason.message : String(reason);
    const text = `who waits for a data thread is lost should it die: its sockets can't be kept (${why})`;
    this.#log.info('data_thread.sockets_not_kept', text, { reason: why });
  }
}
