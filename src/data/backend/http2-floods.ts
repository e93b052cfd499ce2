/**
 * Frames that cost work and bring nothing: SETTINGS, PING, empty DATA, WINDOW_UPDATE, what is for streams that are gone, types
 * that nobody knows. A backend sends some beside what it has to say; one that sends little else is stopped.
 */

/** In each period, so many, and some for each frame that was of use. */
const FREE = 2_000;
const PER_USEFUL = 8;
const PERIOD_MS = 1_000;

export class Floods {
  #sinceMs = 0;
  #useless = 0;
  #useful = 0;

  useful(): void {
    this.#useful++;
  }

  /** @param nowMs may be coarse. @returns whether it is too much */
  useless(nowMs: number): boolean {
    if (nowMs - this.#sinceMs > PERIOD_MS) {
      this.#sinceMs = nowMs;
      this.#useless = 0;
      this.#useful = 0;
    }
    return ++this.#useless > FREE + PER_USEFUL * this.#useful;
  }
}
