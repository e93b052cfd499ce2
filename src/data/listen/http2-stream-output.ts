/**
 * What one stream of a client's HTTP/2 connection has to send: it leaves as far as the two windows (RFC 9113 §5.2) and the
 * connection let it, and is held otherwise.
 *
 * A head, and a small part of a body behind it, are kept as text up to `pump`: until then they can be taken back, and they leave
 * together.
 */
import type { ErrorCode } from '../../errors.ts';
import type { Leaving, Settlement } from '../relay/ledger.ts';
import { type Http2Output, MAX_DATA_BYTES } from '../stream/http2-output.ts';
import { SendWindow } from '../wire/http2/windows.ts';
import { HeldBody } from './held-body.ts';

/** Up to here what comes of a body waits for the end of the read, and leaves in one frame. */
const TEXT_BYTES = MAX_DATA_BYTES;

export class Http2StreamOutput implements Leaving {
  readonly window: SendWindow;
  /** Something of the final answer has been sent. */
  isCommitted = false;
  /** Our side of the stream is at its end. */
  isEnded = false;

  readonly #output: Http2Output;
  readonly #id: number;
  /** What has been sent or is held. */
  #bytes = 0;
  #bytesBefore = 0;
  #head = '';
  #text = '';
  #held: HeldBody | null = null;
  /** Nothing comes behind what there is. */
  #isComplete = false;
  #trailers = '';
  #settlement: Settlement | null = null;

  constructor(output: Http2Output, id: number) {
    this.#output = output;
    this.#id = id;
    this.window = new SendWindow(output.peer.initialWindowSize);
  }

  /** Something waits for a window, or for the connection. */
  get isHeld(): boolean {
    return this.#held !== null;
  }

  get heldBytes(): number {
    return this.#text.length + (this.#held === null ? 0 : this.#held.length);
  }

  /** What has been sent; once the answer is complete, all of it. */
  get bytesOut(): number {
    return this.#held === null || this.#isComplete ? this.#bytes : this.#bytes - this.#held.length;
  }

  /** Whether there is more, sent or held, than when it was last asked. */
  hasGrown(): boolean {
    const hasGrown = this.#bytes !== this.#bytesBefore;
    this.#bytesBefore = this.#bytes;
    return hasGrown;
  }

  /** The log has yet to be told what became of it. */
  get isToBeSettled(): boolean {
    return this.#settlement !== null;
  }

  settleLater(settlement: Settlement): void {
    this.#settlement = settlement;
  }

  /** The text of an interim head. */
  interim(head: string): void {
    this.#bytes += this.#output.response(this.#id, head, false);
  }

  /** The text of the final head. It is all of the answer if that is complete by the time that it is sent: else trailers may follow. */
  head(head: string): void {
    this.#head = head;
  }

  /** A whole body, in the place of all that was not sent. */
  bodyText(text: string): void {
    this.#text = text;
  }

  /** `buffer[start, end)`, borrowed. */
  body(buffer: Buffer, start: number, end: number): void {
    if (this.#held === null && this.#text.length + end - start <= TEXT_BYTES) {
      this.#text += buffer.latin1Slice(start, end);
    } else {
      this.pump();
      this.send(buffer, start, end);
    }
  }

  /** @param trailers whole field lines */
  complete(trailers: string): void {
    this.#isComplete = true;
    this.#trailers = trailers;
  }

  /** What is held will not be taken. */
  lose(code: ErrorCode, detail: string): void {
    const lost = this.#held === null ? 0 : this.#held.length;
    const settlement = this.#settlement;
    this.#held?.release();
    this.#held = this.#settlement = null;
    this.#bytes -= lost;
    settlement?.isLost(lost, code, detail);
  }

  /** Nothing more is sent. */
  drop(
    code: ErrorCode = 'ERR_CLIENT_GONE',
    detail = 'the stream was reset before all was taken',
  ): void {
    this.isEnded = true;
    this.lose(code, detail);
    this.#head = this.#text = '';
  }

  /**
   * Sends what there is, as far as windows and room let it.
   * @param most bytes of what was held.
   */
  pump(most = Number.POSITIVE_INFINITY): void {
    const endsWithBody = this.#isComplete && this.#trailers === '';
    if (this.#head !== '') this.#sendHead(endsWithBody && this.#text === '');
    if (this.#text !== '') this.#sendText(endsWithBody);
    if (this.#held !== null) this.#sendHeld(this.#held, most, endsWithBody);
    if (this.#isComplete && this.#held === null && !this.isEnded) this.#sendEnd();
    if (this.#settlement !== null && this.isEnded) this.#settle(this.#settlement);
  }

  #settle(settlement: Settlement): void {
    this.#settlement = null;
    settlement.allHasLeft();
  }

  #sendHead(isAll: boolean): void {
    const head = this.#head;
    this.#head = '';
    this.isCommitted = true;
    this.isEnded = isAll;
    this.#bytes += this.#output.response(this.#id, head, this.isEnded);
  }

  #sendText(isLast: boolean): void {
    const text = this.#text;
    const { length } = text;
    this.#text = '';
    if (this.#held === null && length <= this.#output.roomIn(this.window)) {
      this.#bytes += length;
      this.#output.text(this.#id, this.window, text, isLast);
      this.isEnded = isLast;
    } else {
      this.send(Buffer.from(text, 'latin1'), 0, length);
    }
  }

  /** Behind all that was sent before: `buffer[start, end)`, borrowed. */
  send(buffer: Buffer, start: number, end: number): void {
    if (this.isEnded) return;
    this.#bytes += end - start;
    let position = start;
    while (this.#held === null && position < end) {
      const length = Math.min(this.#output.roomIn(this.window), end - position);
      if (length <= 0) break;
      this.#output.data(this.#id, this.window, buffer, position, position + length, false);
      position += length;
    }
    if (position === end) return;
    this.#held ??= new HeldBody();
    this.#held.append(buffer, position, end);
  }

  #sendHeld(held: HeldBody, most: number, endsWithIt: boolean): void {
    let left = most;
    while (held.length > 0 && left > 0) {
      const { first } = held;
      const length = Math.min(this.#output.roomIn(this.window), first.length, left);
      if (length <= 0) return;
      const isLast = endsWithIt && length === held.length;
      this.#output.data(this.#id, this.window, first, 0, length, isLast);
      this.isEnded = isLast;
      left -= length;
      held.consume(length);
    }
    if (held.length === 0) this.#held = null;
  }

  #sendEnd(): void {
    this.isEnded = true;
    if (this.#trailers === '') this.#output.endData(this.#id);
    else this.#bytes += this.#output.trailers(this.#id, this.#trailers);
  }
}
