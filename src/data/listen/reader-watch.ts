/** Looks from time to time whether a client reads on that has not read its last answer to the end. */
export class ReaderWatch {
  #unsentBytes = 0;
  /** When it was last seen to have read. */
  #readSinceMs = 0;

  /** A slow reader keeps its connection, one that has read nothing for `idleMs` does not. */
  hasStopped(unsentBytes: number, nowMs: number, idleMs: number): boolean {
    if (unsentBytes === this.#unsentBytes) return nowMs - this.#readSinceMs >= idleMs;
    this.#unsentBytes = unsentBytes;
    this.#readSinceMs = nowMs;
    return false;
  }
}
