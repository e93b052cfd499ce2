/** Bytes of a body that can't go on yet, in order. Short ones are kept side by side: a buffer for each would cost many times its bytes. */
const PIECE_BYTES = 16 * 1024;

/** Node 20 has no way to give memory back before it is collected. */
type Memory = ArrayBufferLike & { readonly transfer?: (bytes: number) => ArrayBuffer };

export class HeldBody {
  length = 0;

  readonly #pieces: Buffer[] = [];
  /** How much of the first piece has gone. */
  #start = 0;
  /** How much of the last piece is in use. */
  #end = 0;

  /** Copies `buffer[start, end)`. */
  append(buffer: Buffer, start: number, end: number): void {
    this.length += end - start;
    let position = start;
    const last = this.#pieces.at(-1);
    if (last !== undefined) {
      const fitting = Math.min(end - start, last.length - this.#end);
      buffer.copy(last, this.#end, start, start + fitting);
      this.#end += fitting;
      position += fitting;
    }
    if (position === end) return;
    const left = end - position;
    // The first one is all there is, as a rule.
    const isFirst = last === undefined;
    const piece = Buffer.allocUnsafeSlow(isFirst ? left : Math.max(PIECE_BYTES, left));
    buffer.copy(piece, 0, position, end);
    this.#pieces.push(piece);
    this.#end = left;
  }

  /** What is next, not empty while there is anything. */
  get first(): Buffer {
    const [first] = this.#pieces;
    if (first === undefined) return Buffer.alloc(0);
    return first.subarray(this.#start, this.#pieces.length === 1 ? this.#end : first.length);
  }

  /** The first bytes have gone: no more than `first` has. */
  consume(count: number): void {
    this.length -= count;
    this.#start += count;
    const [first] = this.#pieces;
    const end = this.#pieces.length === 1 ? this.#end : first?.length;
    if (this.#start !== end) return;
    this.#pieces.shift();
    this.#start = 0;
    if (this.#pieces.length === 0) this.#end = 0;
  }

  /** All of it; nothing is held any more. */
  takeAll(): Buffer {
    const parts: Buffer[] = [];
    while (this.length > 0) {
      const { first } = this;
      parts.push(first);
      this.consume(first.length);
    }
    return Buffer.concat(parts);
  }

  /**
   * It will not be taken: gives its memory back at once. Whoever comes again and again, and takes nothing of large answers, would have
   * as much garbage as all that is held. A piece that has been sent in part may be on its way.
   */
  release(): void {
    const pieces = this.#start > 0 ? this.#pieces.slice(1) : this.#pieces;
    for (const { buffer } of pieces) (buffer as Memory).transfer?.(0);
    this.#pieces.length = this.length = this.#start = this.#end = 0;
  }
}
