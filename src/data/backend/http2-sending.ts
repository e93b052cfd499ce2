/**
 * What the streams of an HTTP/2 connection to a backend may send, and when: the windows that the backend gives, and its
 * connection that takes only so much. Those that have to wait go on in turn.
 */
import type { ErrorCode } from '../../errors.ts';
import { guarded } from '../barrier.ts';
import type { ThreadIo } from '../stream/thread-io.ts';
import { DEFAULT_FRAME_SIZE } from '../wire/http2/frame-types.ts';
import { DEFAULT_WINDOW, SendWindow } from '../wire/http2/windows.ts';
import type { Floods } from './http2-floods.ts';
import type { Http2Output } from './http2-output.ts';
import type { OwnedStream } from './http2-owned-stream.ts';
import type { Silence } from './http2-silence.ts';

/** One DATA frame. */
const DATA_BYTES = DEFAULT_FRAME_SIZE;

export class Http2Sending {
  /** Nothing leaves any more. */
  isOver = false;

  readonly #output: Http2Output;
  readonly #silence: Silence;
  readonly #floods: Floods;
  readonly #io: ThreadIo;
  readonly #window = new SendWindow(DEFAULT_WINDOW);
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
    return this.#output.isFull;
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
    const own = stream.sendWindow;
    const all = this.#window;
    let at = start;
    while (at < end && !output.isFull) {
      const length = Math.min(end - at, own.available, all.available, DATA_BYTES);
      if (length <= 0) break;
      own.take(length);
      all.take(length);
      const next = at + length;
      this.#floods.useful();
      output.data(stream.id, buffer, at, next, endsStream && next === end);
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
      const mayBe = this.#window.add(increment);
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
      if (this.#output.isFull || this.#window.available <= 0) return;
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

/** Streams that have failed in the middle of what their users do: told once the round is over. */
export class LateFailures {
  #failing: { readonly stream: OwnedStream; readonly code: ErrorCode; readonly detail: string }[] =
    [];

  add(stream: OwnedStream, code: ErrorCode, detail: string): void {
    this.#failing.push({ stream, code, detail });
  }

  tell(): void {
    if (this.#failing.length === 0) return;
    const failing = this.#failing;
    this.#failing = [];
    for (const { stream, code, detail } of failing) {
      told(stream, () => stream.failed(code, detail));
    }
  }
}

/** Tells the user of a stream something; who pays for an exception is the user alone. */
export function told(stream: OwnedStream, step: () => void): void {
  const { user } = stream;
  if (user !== null) guarded(user, step);
}
