/** What one stream reads into: the thread's shared buffer, or a chunk of its own while a large body comes. See thread-io.ts. */
import { type Chunk, READ_BYTES, type ThreadIo } from './thread-io.ts';

/** So much in one read is a part of a large body. */
const MANY_BYTES = 96 * 1024;
/** A chunk that is filled less than this has carried the end of one. */
const FEW_BYTES = 16 * 1024;

export class ReadMemory {
  /** No more bytes are expected for a while: said by the user about what it is being given. */
  isResting = false;

  readonly #io: ThreadIo;
  #chunk: Chunk | null = null;

  constructor(io: ThreadIo) {
    this.#io = io;
  }

  /** Of its own, in bytes. */
  get size(): number {
    return this.#chunk === null ? 0 : READ_BYTES;
  }

  /** Where bytes have arrived, lent to the stream's user until `next`. */
  lend(): Buffer {
    const chunk = this.#chunk;
    this.isResting = false;
    if (chunk === null) return this.#io.shared;
    this.#io.lent = chunk;
    return chunk.bytes;
  }

  /**
   * @param isPaused nothing is read by now: who keeps what comes by copying it, and waits, needs no chunk meanwhile
   * @returns where the next bytes go, if that changes.
   */
  next(length: number, isClosed: boolean, isPaused: boolean): Uint8Array | undefined {
    const chunk = this.#chunk;
    if (chunk === null) {
      if (length < MANY_BYTES || this.isResting || isClosed) return undefined;
      return this.#take();
    }
    this.#io.lent = null;
    if (isClosed) {
      this.leave();
      return undefined;
    }
    if (this.isResting || length < FEW_BYTES) {
      this.leave();
      return this.#io.shared;
    }
    if (chunk.writes === 0 && !isPaused) return undefined;
    const isLent = chunk.writes > 0;
    this.leave();
    return isLent ? this.#take() : this.#io.shared;
  }

  #take(): Uint8Array {
    const chunk = this.#io.take();
    chunk.isReading = true;
    this.#chunk = chunk;
    return chunk.bytes;
  }

  /** Gives the chunk back; while its bytes are lent nothing happens, and `next` does it. */
  leave(): void {
    const chunk = this.#chunk;
    if (chunk === null || this.#io.lent === chunk) return;
    this.#chunk = null;
    chunk.isReading = false;
    this.#io.giveBack(chunk);
  }
}
