/**
 * Who accepts for a data thread that can't: it has died, and its replacement is yet to come, or it is not trusted any more. Its
 * sockets stay (kept-sockets.ts), and another thread accepts on them as well. Where there is no other thread, clients wait.
 */
import { isOpenedBy, type ListenerSnapshot } from '../../snapshot/snapshot.ts';
import type { KeptSockets } from './kept-sockets.ts';
import type { LentSockets } from './lent-sockets.ts';
import type { SocketCopy } from './socket-copies.ts';
import type { ThreadPlace } from './thread-place.ts';

/** The thread that accepts; undefined: there is none at the moment. */
interface Vacancy {
  readonly standIn: number | undefined;
}

export interface StandInsOptions {
  readonly places: () => readonly ThreadPlace[];
  readonly listeners: () => readonly ListenerSnapshot[];
  readonly kept: KeptSockets;
  readonly lent: LentSockets;
  readonly nextSequence: () => number;
}

export class StandIns {
  readonly #options: StandInsOptions;
  /** By the thread that can't accept. */
  readonly #vacant = new Map<number, Vacancy>();

  constructor(options: StandInsOptions) {
    this.#options = options;
  }

  /** It accepts nobody any more. */
  left(thread: number): void {
    const { listeners, kept } = this.#options;
    const hasSockets = listeners().some(({ id }) => kept.has(id, thread));
    if (hasSockets && !this.#vacant.has(thread)) this.#find(thread);
  }

  /** It is gone, and with it the sockets on which it has stood in for others. */
  died(thread: number): void {
    this.left(thread);
    for (const [other, { standIn }] of this.#vacant) if (standIn === thread) this.#find(other);
  }

  /** It accepts again. */
  returned(thread: number): void {
    const standIn = this.#vacant.get(thread)?.standIn;
    this.#vacant.delete(thread);
    if (standIn !== undefined) {
      this.#options.places()[standIn]?.post({ kind: 'stand-in-over', forThread: thread });
    }
    for (const [other, vacancy] of this.#vacant) {
      if (vacancy.standIn === undefined) this.#find(other);
    }
  }

  #find(thread: number): void {
    const places = this.#options.places();
    const others = [...places.slice(thread + 1), ...places.slice(0, thread)];
    const free = others.find(({ index, isEmpty }) => !isEmpty && !this.#vacant.has(index));
    const vacancy: Vacancy = { standIn: free?.index };
    this.#vacant.set(thread, vacancy);
    if (free !== undefined) void this.#send(thread, vacancy, free);
  }

  async #send(thread: number, vacancy: Vacancy, standIn: ThreadPlace): Promise<void> {
    const { listeners, kept, lent, nextSequence, places } = this.#options;
    const { length } = places();
    const sockets: { listenerId: number; copies: readonly SocketCopy[] }[] = [];
    for (const listener of listeners()) {
      // One thread has all clients of a listener of the other kind: another one does not have it open.
      if (!isOpenedBy(listener, standIn.index, length) || !kept.has(listener.id, thread)) continue;
      const copies = await kept.copiesOf(listener.id, thread);
      if (copies !== undefined) sockets.push({ listenerId: listener.id, copies });
    }
    const all = sockets.flatMap(({ copies }) => copies);
    if (this.#vacant.get(thread) !== vacancy) {
      for (const copy of all) copy.close();
      return;
    }
    if (all.length === 0) return;
    const sequence = nextSequence();
    lent.lend(sequence, standIn.index, all);
    standIn.post({
      kind: 'stand-in',
      sequence,
      forThread: thread,
      sockets: sockets.map(({ listenerId, copies }) => ({
        listenerId,
        descriptors: copies.map(({ descriptor }) => descriptor),
      })),
    });
  }
}
