/**
 * Looks for a text in the body of an answer. Texts are Latin-1, one character for each byte; of chunks only the data is
 * looked at, so that a text may begin in one and end in the next. Whoever feeds it bounds it.
 */

const LONGEST_LINE = 4096;
/** RFC 9112 §7.1; more digits than any chunk of a bounded answer needs. */
const SIZE_LINE = /^([0-9a-f]{1,12})[ \t]*(?:;.*)?$/i;

export class BodySearch {
  isFound = false;
  /** The last chunk has come. */
  isOver = false;
  /** Why this is no body. */
  fault: string | undefined;
  readonly #wanted: string;
  readonly #isChunked: boolean;
  /** The end of what was looked at: the text may have begun there. */
  #tail = '';
  /** Not read yet, for want of a line's end. */
  #rest = '';
  #missingBytes = 0;
  #isBehindData = false;

  /** @param wanted not empty. */
  constructor(wanted: string, isChunked: boolean) {
    this.#wanted = Buffer.from(wanted, 'utf8').toString('latin1');
    this.#isChunked = isChunked;
  }

  receive(bytes: string): void {
    if (this.isFound || this.isOver || this.fault !== undefined) return;
    const text = this.#tail + (this.#isChunked ? this.#dataOf(bytes) : bytes);
    this.isFound = text.includes(this.#wanted);
    this.#tail = this.#wanted.length === 1 ? '' : text.slice(1 - this.#wanted.length);
  }

  #dataOf(bytes: string): string {
    let data = '';
    this.#rest += bytes;
    for (;;) {
      const part = this.#rest.slice(0, this.#missingBytes);
      data += part;
      this.#missingBytes -= part.length;
      this.#rest = this.#rest.slice(part.length);
      if (this.#missingBytes > 0) return data;
      const end = this.#rest.indexOf('\n');
      if (end === -1) {
        if (this.#rest.length > LONGEST_LINE) this.fault = 'a chunk of a malformed size';
        return data;
      }
      const line = this.#rest.slice(0, end).replace(/\r$/, '');
      this.#rest = this.#rest.slice(end + 1);
      if (!this.#takeLine(line)) return data;
    }
  }

  /** @returns whether there is more. */
  #takeLine(line: string): boolean {
    if (this.#isBehindData) {
      this.#isBehindData = false;
      if (line !== '') this.fault = 'a chunk that is longer than its size';
      return this.fault === undefined;
    }
    const size = SIZE_LINE.exec(line)?.[1];
    if (size === undefined) {
      this.fault = 'a chunk of a malformed size';
      return false;
    }
    this.#missingBytes = Number.parseInt(size, 16);
    this.#isBehindData = true;
    this.isOver = this.#missingBytes === 0;
    return !this.isOver;
  }
}
