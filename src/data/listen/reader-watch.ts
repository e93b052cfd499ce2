/** Looks from time to time whether a client reads on that has not read its last answer to the end. */
import type { DataContext } from '../relay/context.ts';

const LOOK_EVERY_MS = 1_000;

export class ReaderWatch {
  #unsentBytes = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** When it was last seen to have read. */
  #readSinceMs = 0;

  /**
   * A slow reader keeps its connection, one that has read nothing for `timeouts.idle` does not.
   * @param isCounted as cut off, by whoever asks
   * @returns when to look again; 0: it has stopped, which is counted.
   */
  nextLookMs(
    unsentBytes: number,
    { nowMs, view, counters }: DataContext,
    isCounted = false,
  ): number {
    // It was asked about an answer before this one.
    const isAnother = nowMs - this.#lookedAtMs >= 2 * LOOK_EVERY_MS;
    this.#lookedAtMs = nowMs;
    if (isAnother || unsentBytes !== this.#unsentBytes) {
      this.#unsentBytes = unsentBytes;
      this.#readSinceMs = nowMs;
    } else if (nowMs - this.#readSinceMs >= view.snapshot.timeouts.idleMs) {
      if (!isCounted) counters.cutOff('client_timeout');
      return 0;
    }
    return nowMs + LOOK_EVERY_MS;
  }
}
