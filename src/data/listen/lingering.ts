/** How much a client may still send, and for how long, once its last answer is out: all of it is thrown away. */

const SILENCE_MS = 2_000;
const TOTAL_MS = 30_000;
const TOTAL_BYTES = 64 * 1024 * 1024;

export class Lingering {
  /** When it is over. */
  deadlineMs: number;
  readonly #untilMs: number;
  #bytes = 0;

  constructor(nowMs: number) {
    this.deadlineMs = nowMs + SILENCE_MS;
    this.#untilMs = nowMs + TOTAL_MS;
  }

  /** @returns the new deadline. */
  throwAway(length: number, nowMs: number): number {
    this.#bytes += length;
    this.deadlineMs = Math.min(nowMs + SILENCE_MS, this.#untilMs);
    return this.deadlineMs;
  }

  get isTooMuch(): boolean {
    return this.#bytes > TOTAL_BYTES;
  }
}
