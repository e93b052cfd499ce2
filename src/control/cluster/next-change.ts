/** Waiting for something that is told of, but for no longer than so long. */
export class NextChange {
  #waiting = new Set<() => void>();

  tell(): void {
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const go of waiting) go();
  }

  /** Resolves when it holds, looked at whenever something is told, or after `ms`. */
  async until(holds: () => boolean, ms: number): Promise<void> {
    const over = performance.now() + ms;
    while (!holds()) {
      const restMs = over - performance.now();
      if (restMs <= 0) return;
      await this.#next(restMs);
    }
  }

  #next(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const go = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(go);
        resolve();
      };
      const timer = setTimeout(go, ms);
      this.#waiting.add(go);
    });
  }
}
