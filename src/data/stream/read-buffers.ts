/**
 * The memory that a thread's connections read into.
 *
 * Small messages all go through one buffer: their bytes are looked at, rewritten and gone when the call returns. A
 * connection that has filled it once carries a large body: it reads into chunks of its own from then on, and such a chunk is
 * written to the other side as it is. Only when the other side does not take it at once does it stay lent until it has left,
 * and the reader goes on with another one. So no byte of a large body is copied in user space, and nothing is allocated for
 * it: V8 would let 64 MiB of such garbage gather outside its heap before it collects.
 */

/** One read at most: what the kernel hands over in one call on loopback and fast links. */
export const READ_BYTES = 64 * 1024;
const MAX_SPARE = 64;

export class Chunk {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  /** Writes under way that take their bytes from here. */
  writes = 0;
  /** A connection reads into it. */
  isReading = false;
}

export class ReadBuffers {
  /** What every connection reads into that carries no large body. */
  readonly shared: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  /** The chunk whose bytes are being handed to a stream's user, for the length of that call. */
  lent: Chunk | null = null;
  readonly #spare: Chunk[] = [];

  /** A chunk that nobody reads into or writes from. */
  take(): Chunk {
    return this.#spare.pop() ?? new Chunk();
  }

  /** Takes a chunk back that is no longer read into or written from; while either goes on, nothing happens. */
  giveBack(chunk: Chunk): void {
    if (chunk.isReading || chunk.writes > 0) return;
    if (this.#spare.length < MAX_SPARE) this.#spare.push(chunk);
  }
}
