/**
 * What data threads have been told of backends that drain, for one that starts later: WebSockets of a dead thread come back, and those with a
 * session there may go to such a backend again.
 */
import type { DrainBackendMessage, ToDataThread } from '../../snapshot/messages.ts';

export class ToldDrains {
  readonly #now: () => number;
  /** By the id of the backend, which may be gone: when its drain is over. */
  readonly #deadlines = new Map<number, number>();

  /** @param now in ms, by a clock that never jumps. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  note(message: ToDataThread): void {
    if (message.kind === 'drain-backend') {
      // Nothing is kept of those that are over.
      this.left();
      this.#deadlines.set(message.backendId, this.#now() + message.deadlineMs);
    } else if (message.kind === 'keep-backend' || message.kind === 'cut-backend') {
      this.#deadlines.delete(message.backendId);
    }
  }

  /** Those that are not over, with the time that they have left. */
  left(): DrainBackendMessage[] {
    const now = this.#now();
    const left: DrainBackendMessage[] = [];
    for (const [backendId, deadline] of this.#deadlines) {
      if (deadline <= now) this.#deadlines.delete(backendId);
      else left.push({ kind: 'drain-backend', backendId, deadlineMs: deadline - now });
    }
    return left;
  }
}
