/** The body of one request on its way to an HTTP/2 backend: what of it may not be sent yet waits here. */
import { UNKNOWN_LENGTH } from './backend-stream.ts';
import type { OwnedStream } from './http2-owned-stream.ts';
import type { StreamOwner } from './http2-stream-owner.ts';

export class RequestBody {
  /** All of the request is sent, or nothing more will be. */
  isSent = false;
  waitingBytes = 0;

  readonly #owner: StreamOwner;
  readonly #stream: OwnedStream;
  /** What is to come; `UNKNOWN_LENGTH`: until its end is said. */
  #missing = 0;
  /** Parts that wait, in order, and the trailers that end it behind them; null: its end has not come. */
  #waiting: Buffer[] = [];
  #end: string | null = null;

  constructor(owner: StreamOwner, stream: OwnedStream) {
    this.#owner = owner;
    this.#stream = stream;
  }

  /** Its head is about to go out. @param length 0: that is all of the request */
  begin(length: number): void {
    this.#missing = length;
    this.isSent = length === 0;
  }

  /** @param isOwned whether the bytes stay untouched from now on; else they are the caller's again when this returns. */
  send(buffer: Buffer, start: number, end: number, isOwned: boolean): void {
    if (this.isSent || this.#owner.turns.isOver) return;
    const from = this.waitingBytes > 0 ? start : this.#send(buffer, start, end);
    if (from === end) return;
    const rest = buffer.subarray(from, end);
    this.#waiting.push(isOwned ? rest : Buffer.from(rest));
    this.waitingBytes += rest.length;
    this.#owner.turns.wait(this.#stream);
  }

  /** @returns where the rest begins. */
  #send(buffer: Buffer, start: number, end: number): number {
    const isLast = this.#missing === end - start;
    const from = this.#owner.turns.data(this.#stream, buffer, start, end, isLast);
    if (this.#missing !== UNKNOWN_LENGTH) this.#missing -= from - start;
    if (isLast && from === end) this.isSent = true;
    return from;
  }

  end(trailers: string): void {
    if (this.isSent) return;
    this.#end = trailers;
    if (this.waitingBytes === 0) this.#sendEnd();
  }

  #sendEnd(): void {
    const trailers = this.#end;
    if (trailers === null || this.isSent) return;
    this.isSent = true;
    this.#owner.turns.end(this.#stream, trailers);
  }

  sendWaiting(): boolean {
    const waiting = this.#waiting;
    while (waiting.length > 0) {
      const bytes = waiting[0] as Buffer;
      const from = this.#send(bytes, 0, bytes.length);
      this.waitingBytes -= from;
      if (from < bytes.length) {
        waiting[0] = bytes.subarray(from);
        return false;
      }
      waiting.shift();
    }
    this.#sendEnd();
    return true;
  }

  drop(): void {
    this.#waiting = [];
    this.waitingBytes = 0;
  }

  /** Nothing more is sent of it. */
  giveUp(): void {
    this.isSent = true;
    this.drop();
  }
}
