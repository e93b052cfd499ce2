/**
 * Whether an engine is asked: after so many calls in a row that got no answer it is not, until one that was made to find out got one.
 * Calls that were under way then decide nothing any more.
 */
const MOST_FAILURES = 5;

export class EngineBreaker {
  #failures = 0;
  #isOpen = false;

  /** Nobody is to ask. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** @returns whether it has opened by that. */
  failed(): boolean {
    if (this.#isOpen || ++this.#failures < MOST_FAILURES) return false;
    this.#isOpen = true;
    return true;
  }

  close(): void {
    this.#isOpen = false;
    this.#failures = 0;
  }
}
