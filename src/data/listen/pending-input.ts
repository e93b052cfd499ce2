/**
 * Bytes of a client that nobody takes yet: a part of a head, or what was pipelined behind an exchange. Grows by doubling,
 * so that a head that trickles in byte by byte is copied a few times, not once per byte.
 */
const FIRST_BYTES = 1024;

export class PendingInput {
  /** The bytes are `buffer[0, length)`. */
  buffer: Buffer;
  length = 0;

  constructor() {
    this.buffer = Buffer.allocUnsafe(FIRST_BYTES);
  }

  /**
   * What is left of the bytes that were looked at: `buffer[start, end)`, if that is anything.
   * @param previous where they may lie themselves.
   */
  static of(
    buffer: Buffer,
    start: number,
    end: number,
    previous: PendingInput | null,
  ): PendingInput | null {
    if (start === end) return null;
    if (buffer === previous?.buffer) {
      previous.consume(start);
      return previous;
    }
    const input = new PendingInput();
    input.append(buffer, start, end);
    return input;
  }

  /** As they lie; taken when nothing is appended any more. */
  get bytes(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  append(bytes: Buffer, start: number, end: number): void {
    const total = this.length + end - start;
    if (total > this.buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(total, this.buffer.length * 2));
      this.buffer.copy(grown, 0, 0, this.length);
      this.buffer = grown;
    }
    bytes.copy(this.buffer, this.length, start, end);
    this.length = total;
  }

  /** Drops the first bytes. */
  consume(count: number): void {
    if (count === 0) return;
    this.buffer.copyWithin(0, count, this.length);
    this.length -= count;
  }
}
