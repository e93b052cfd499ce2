/**
 * Whether a client is read. It is not while nobody takes what it sends; and whoever is not read is looked after now and then, for
 * it may have left: its request would be in the way of others for nothing.
 */
import { guarded, type Victim } from '../barrier.ts';
import type { ByteStream } from '../stream/byte-stream.ts';

/** Pipelined bytes kept while an exchange runs; past it the client is not read. */
const INPUT_HIGH_WATER = 64 * 1024;
const LOOK_EVERY_MS = 1_000;
/** One that holds as much is not read any further to find its end: only a reset shows there. */
const MAX_HELD_BYTES = 256 * 1024;

export class ClientReading {
  /** What is left of its input has its turn later. */
  isYielding = false;
  isPaused = false;

  readonly #stream: ByteStream;
  readonly #onPaused: { paused(): void };
  #nextLookMs = 0;

  /** @param onPaused told of each pause */
  constructor(stream: ByteStream, onPaused: { paused(): void }) {
    this.#stream = stream;
    this.#onPaused = onPaused;
  }

  pause(): void {
    if (this.isPaused) return;
    this.isPaused = true;
    this.#stream.pause();
    this.#onPaused.paused();
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.#stream.resume();
  }

  /** Reads on, unless so many bytes wait already. */
  goOn(waitingBytes: number): void {
    if (waitingBytes > INPUT_HIGH_WATER) this.pause();
    else this.resume();
  }

  /**
   * Called at each tick of one that is not read: once a second one read is taken: it brings the end of the connection, or
   * bytes that are held with the others, and then it is paused again.
   * @returns whether its connection has been reset.
   */
  look(nowMs: number, heldBytes: number): boolean {
    if (nowMs < this.#nextLookMs) return false;
    this.#nextLookMs = nowMs + LOOK_EVERY_MS;
    if (this.#stream.isReset) return true;
    if (heldBytes < MAX_HELD_BYTES) this.resume();
    return false;
  }

  /** Lets the others of this turn of the event loop go first. */
  yield(connection: Victim, goOn: () => void): void {
    this.isYielding = true;
    setImmediate(guarded, connection, () => {
      this.isYielding = false;
      goOn();
    });
  }
}
