/**
 * Copies of borrowed bytes that wait to be written, in buffers that are used again.
 *
 * A buffer made for every 64 KiB of a body lives outside the JavaScript heap, where V8 lets 64 MiB of garbage gather
 * before it collects: a single slow download then takes that much more memory than it needs.
 */
const CHUNK_BYTES = 64 * 1024;
/** Shorter copies are made by themselves: they must not hold a whole chunk. */
const SHORT_BYTES = 16 * 1024;
const MAX_SPARE = 64;

export class ChunkPool {
  readonly #spare: Buffer[] = [];

  /** Writes `buffer[start, end)`, which is the caller's again when this returns. @returns what the write returned. */
  write(socket: ChunkWriter, buffer: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (length <= SHORT_BYTES || length > CHUNK_BYTES) {
      return socket.write(Buffer.from(buffer.subarray(start, end)));
    }
    const chunk = this.#spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
    buffer.copy(chunk, 0, start, end);
    return socket.write(length === CHUNK_BYTES ? chunk : chunk.subarray(0, length), (error) => {
      // After a failed write nobody knows who still looks at it.
      if (!error && this.#spare.length < MAX_SPARE) this.#spare.push(chunk);
    });
  }
}

/** A socket, as far as it is used here. */
interface ChunkWriter {
  write(bytes: Buffer, onWritten?: (error?: Error | null) => void): boolean;
}
