/** Copies of sockets on their way to a thread: those that it opens are its own; it may end before it has, or says so. */
import type { SocketCopy } from './socket-copies.ts';

interface Lent {
  readonly thread: number;
  readonly copies: readonly SocketCopy[];
}

export class LentSockets {
  readonly #lent = new Map<number, Lent>();

  /** @param sequence of the message that they are sent with */
  lend(sequence: number, thread: number, copies: readonly SocketCopy[]): void {
    this.#lent.set(sequence, { thread, copies });
  }

  /** @param opened descriptors, of all that the thread has opened */
  answered(sequence: number, opened: readonly number[]): void {
    const lent = this.#lent.get(sequence);
    this.#lent.delete(sequence);
    for (const copy of lent?.copies ?? []) {
      if (!opened.includes(copy.descriptor)) copy.closeIfStillOurs();
    }
  }

  /** The thread has ended, and what it had opened is closed. */
  died(thread: number): void {
    for (const [sequence, lent] of this.#lent) {
      if (lent.thread === thread) this.answered(sequence, []);
    }
  }
}
