const POLL_MS = 50;

/** What waits until backends that drain are empty: one thing for each, the last that was asked for. */
export class LeavingBackends {
  readonly #timers = new Map<number, NodeJS.Timeout>();
  #isOver = false;

  has(id: number): boolean {
    return this.#timers.has(id);
  }

  /** In the place of what was waited for before. */
  when(id: number, isSo: () => boolean, run: () => void): void {
    this.#set(id, () =>
      setInterval(() => {
        if (!isSo()) return;
        this.stop(id);
        run();
      }, POLL_MS),
    );
  }

  /** Unless something else is waited for, or nothing is to be any more. */
  again(id: number, ms: number, run: () => void): void {
    if (this.has(id)) return;
    this.#set(id, () =>
      setTimeout(() => {
        this.stop(id);
        run();
      }, ms),
    );
  }

  stop(id: number): void {
    // Of either kind of timer.
    clearInterval(this.#timers.get(id));
    this.#timers.delete(id);
  }

  /** From now on nothing is waited for. */
  close(): void {
    this.#isOver = true;
    for (const id of this.#timers.keys()) this.stop(id);
  }

  #set(id: number, timer: () => NodeJS.Timeout): void {
    this.stop(id);
    if (!this.#isOver) this.#timers.set(id, timer().unref());
  }
}
