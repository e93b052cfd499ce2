/** Bytes that come in pieces and are needed in one. What is announced may never come: memory is taken as the bytes are. */
const NO_BYTES: Buffer = Buffer.alloc(0);
const LEAST_ROOM = 64;

export class GatheredBytes {
  /** The first `length` of it. Whoever has taken them, or not copied them before `release`, keeps them. */
  bytes = NO_BYTES;
  length = 0;

  /** Adds `buffer[start, end)`. */
  add(buffer: Buffer, start: number, end: number): void {
    const total = this.length + end - start;
    if (total > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(LEAST_ROOM, total, this.bytes.length * 2));
      this.bytes.copy(larger, 0, 0, this.length);
      this.bytes = larger;
    }
    buffer.copy(this.bytes, this.length, start, end);
    this.length = total;
  }

  release(): void {
    this.bytes = NO_BYTES;
    this.length = 0;
  }
}
