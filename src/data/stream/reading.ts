/**
 * Whether a handle reads: not while its user has paused it, and not while it waits for its turn because its bytes are dear
 * (read-turns.ts).
 */
import type { Victim } from '../barrier.ts';
import type { StreamUser } from './byte-stream.ts';
import type { ReadTurns, TurnTaker } from './read-turns.ts';

/** Reads that bring less are not timed: they can't take long. */
const TIMED_BYTES = 4 * 1024;
/** Whoever's read has taken longer takes turns: many times what 128 KiB of a plain body take. */
export const LONG_MS = 0.5;

interface ReadingHandle {
  readStart(): number;
  readStop(): number;
}

export class Reading implements TurnTaker {
  readonly #handle: ReadingHandle;
  readonly #stream: Victim;
  readonly #turns: ReadTurns;
  #isPaused = false;
  #awaitsTurn = false;
  #isOver = false;

  /** Begins to read. @param stream who pays for an exception */
  constructor(handle: ReadingHandle, stream: Victim, turns: ReadTurns) {
    this.#handle = handle;
    this.#stream = stream;
    this.#turns = turns;
    handle.readStart();
  }

  /** Hands on what has arrived; if that takes long, the next bytes are read when others have had their turn. */
  hand(user: StreamUser, bytes: Buffer, length: number): void {
    if (length < TIMED_BYTES) {
      user.onBytes(bytes, length);
      return;
    }
    const startMs = performance.now();
    user.onBytes(bytes, length);
    if (performance.now() - startMs < LONG_MS || this.#isOver || this.#awaitsTurn) return;
    this.#awaitsTurn = true;
    if (!this.#isPaused) this.#handle.readStop();
    this.#turns.wait(this);
  }

  readOn(): void {
    this.#awaitsTurn = false;
    this.#start();
  }

  get isOn(): boolean {
    return !(this.#isOver || this.#isPaused || this.#awaitsTurn);
  }

  pause(): void {
    if (this.#isPaused || this.#isOver) return;
    this.#isPaused = true;
    if (!this.#awaitsTurn) this.#handle.readStop();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#start();
  }

  #start(): void {
    if (this.isOn) this.#handle.readStart();
  }

  /** There is nothing more to read, or the handle is no longer the stream's. */
  end(): void {
    this.#isOver = true;
  }

  onCrashed(error: unknown): void {
    this.#stream.onCrashed(error);
  }
}
