/**
 * What the streams of an HTTP/2 connection to a backend may send, and when: the windows that the backend gives, and its
 * connection that takes only so much. Those that have to wait go on in turn.
 */
import type { Http2Output } from '../stream/http2-output.ts';
import type { ThreadIo } from '../stream/thread-io.ts';
import type { Floods } from './http2-floods.ts';
import { type OwnedStream, told } from './http2-owned-stream.ts';
import type { Silence } from './http2-silence.ts';

export class SendTurns {
  /** Nothing leaves any more. */
  isOver = false;

  readonly #output: Http2Output;
  readonly #silence: Silence;
  readonly #floods: Floods;
  readonly #io: ThreadIo;
  /** Those that have something to send, longest first. */
  readonly #blocked = new Set<OwnedStream>();

  constructor(output: Http2Output, silence: Silence, floods: Floods, io: ThreadIo) {
    this.#output = output;
    this.#silence = silence;
    this.#floods = floods;
    this.#io = io;
  }

  /** The backend does not read as fast as we send. */
  get isFull(): boolean {
    return this.#output.needsDrain;
  }

  /** Sends of `buffer[start, end)` what may be sent now. @returns where the rest begins */
  data(
    stream: OwnedStream,
    buffer: Buffer,
    start: number,
    end: number,
    endsStream: boolean,
  ): number {
    const output = this.#output;
    const window = stream.sendWindow;
    let at = start;
    while (at < end) {
      const length = Math.min(end - at, output.roomIn(window));
      if (length <= 0) break;
      const next = at + length;
      this.#floods.useful();
      output.data(stream.id, window, buffer, at, next, endsStream && next === end);
      at = next;
    }
    if (at > start) this.#silence.sent(this.#io.deadlines.nowMs);
    return at;
  }

  /** @param trailers whole field lines */
  end(stream: OwnedStream, trailers: string): void {
    if (this.isOver) return;
    if (trailers === '') this.#output.endData(stream.id);
    else this.#output.trailers(stream.id, trailers);
  }

  reset(stream: OwnedStream, code: number): void {
    if (!this.isOver) this.#output.reset(stream.id, code);
  }

  /** More of the response may come. */
  giveCredit(stream: OwnedStream, increment: number): void {
    if (!this.isOver) this.#output.windowUpdate(stream.id, increment);
  }

  /** Something of it waits: `sendWaiting` is called when it may go on. */
  wait(stream: OwnedStream): void {
    this.#blocked.add(stream);
  }

  leave(stream: OwnedStream): void {
    this.#blocked.delete(stream);
  }

  isBlocked(stream: OwnedStream): boolean {
    return this.#blocked.has(stream);
  }

  /** @param stream null: the connection's. @returns false: it is more than a window can be */
  credit(stream: OwnedStream | null, increment: number): boolean {
    if (stream === null) {
      const mayBe = this.#output.window.add(increment);
      if (mayBe) this.goOn();
      return mayBe;
    }
    if (!stream.sendWindow.add(increment)) return false;
    if (this.#blocked.has(stream)) this.#goOnWith(stream);
    return true;
  }

  /** There may be room for those that wait. */
  goOn(): void {
    if (this.#blocked.size === 0) return;
    const waiting = [...this.#blocked];
    for (const stream of waiting) {
      if (this.#output.needsDrain || this.#output.window.available <= 0) return;
      told(stream, () => this.#goOnWith(stream));
    }
  }

  /** Who has to wait on comes last. */
  #goOnWith(stream: OwnedStream): void {
    this.#blocked.delete(stream);
    if (stream.sendWaiting()) stream.noteRoom();
    else this.#blocked.add(stream);
  }
}
