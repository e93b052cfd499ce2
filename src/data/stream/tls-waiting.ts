/**
 * What waits for the end of a TLS write, in order. The handle copies several pieces into one before it encrypts them: short ones
 * leave together, a long one alone.
 */
import type { Chunk, ThreadIo } from './thread-io.ts';
import type { TlsWriter } from './tls-writer.ts';

type Piece = string | Buffer;

/** From here on a buffer leaves alone. */
const LONG_BYTES = 32 * 1024;

export class TlsWaiting {
  bytes = 0;

  readonly #io: ThreadIo;
  readonly #pieces: Piece[] = [];
  /** The thread's chunks that pieces lie in, which nobody else writes into meanwhile. */
  readonly #chunks: (Chunk | null)[] = [];

  constructor(io: ThreadIo) {
    this.#io = io;
  }

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  /** @param chunk which `piece` lies in; null: its memory is its own */
  add(piece: Piece, chunk: Chunk | null): void {
    this.#pieces.push(piece);
    this.#chunks.push(chunk);
    this.bytes += piece.length;
    if (chunk !== null) chunk.writes++;
  }

  /** Begins the next write, of all pieces or of what should leave in one. @returns its bytes */
  writeNext(writer: TlsWriter, isAll: boolean): number {
    const count = isAll ? this.#pieces.length : this.#together;
    const pieces = this.#pieces.splice(0, count);
    let length = 0;
    for (const piece of pieces) length += piece.length;
    this.bytes -= length;
    const [only] = pieces;
    try {
      if (pieces.length === 1 && typeof only !== 'string') writer.writeBytes(only as Buffer);
      else writer.writePieces(pieces);
    } finally {
      this.#release(count);
    }
    return length;
  }

  get #together(): number {
    const at = this.#pieces.findIndex(isLong);
    return at === -1 ? this.#pieces.length : Math.max(at, 1);
  }

  /** Nothing of it will leave. */
  clear(): void {
    this.bytes = 0;
    this.#pieces.length = 0;
    this.#release(this.#chunks.length);
  }

  #release(count: number): void {
    for (const chunk of this.#chunks.splice(0, count)) {
      if (chunk === null) continue;
      chunk.writes--;
      this.#io.giveBack(chunk);
    }
  }
}

function isLong(piece: Piece): boolean {
  return typeof piece !== 'string' && piece.length >= LONG_BYTES;
}
