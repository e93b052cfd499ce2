/**
 * The response on its way from a backend to the client: head, interim heads, body, trailers.
 *
 * Bytes of one read that belong together leave in one write: the head and a small body as one latin-1 string, which is a
 * copy by nature, so the shared read buffer is free again when the call returns.
 */
import type { ErrorCode } from '../../errors.ts';
import { type ResponseStart, UNKNOWN_LENGTH } from '../backend/backend-stream.ts';
import type { BodyLearner, ObservedBody } from '../balance/stickiness.ts';
import type { DataContext } from '../context.ts';
import { chunkSizeLine, lastChunk } from '../wire/chunked.ts';
import { forwardResponse } from '../wire/forward-response.ts';
import type { ResponseHead } from '../wire/head.ts';
import type { BackendOrigin, RedirectRule } from '../wire/location.ts';
import { isWebSocket, readUpgrade } from '../wire/upgrade.ts';

/** What the download needs of its exchange. */
export interface DownloadOwner {
  readonly context: DataContext;
  readonly clientVersionMinor: number;
  /** All of the request has gone out: what follows it may be another protocol. */
  readonly isRequestSent: boolean;
  /** Called when the final head is there, before it is written: how the connection goes on. */
  decideConnection(bodyNeedsClose: boolean): string;
  sendText(text: string): void;
  /** Sends `buffer[start, end)`, borrowed for the length of the call. */
  sendBytes(buffer: Buffer, start: number, end: number): void;
  /** Whether an answer with this status is given up for another attempt: `onAttemptFailed` follows. */
  refuses(status: number): boolean;
  /** Whole field lines that the client gets beside those of the backend; empty as a rule. */
  addedFields(head: ResponseHead, body: ObservedBody): string;
  onResponseHead(status: number): void;
  /** An interim response was relayed. */
  onInterim(status: number): void;
  /** The 101 was relayed; `rest` is what came after it. */
  onSwitched(rest: Buffer, isWebSocket: boolean): void;
  onResponseComplete(): void;
  /** The response is refused; what it has sent so far was well-formed. */
  onAttemptFailed(code: ErrorCode, detail: string): void;
}

/** Up to here a body is relayed as text, in one write with what comes before it. */
const TEXT_BYTES = 16 * 1024;
/** Interim responses before the final one; a backend that sends more is broken. */
const MAX_INTERIM = 32;

export class Download implements ObservedBody {
  learner: BodyLearner | null = null;
  readonly #owner: DownloadOwner;
  readonly #redirects: RedirectRule | null;
  #interim = 0;
  #sendsChunks = false;
  /** Text that waits to be written together. */
  #text = '';

  constructor(owner: DownloadOwner, clientOrigin: string, backend: BackendOrigin) {
    this.#owner = owner;
    this.#redirects = clientOrigin === '' ? null : { backend, clientOrigin };
  }

  takeHead(start: ResponseStart): void {
    const owner = this.#owner;
    const { status } = start.head;
    if (status < 200) {
      this.#takeInterim(start);
      return;
    }
    if (owner.refuses(status)) {
      owner.onAttemptFailed('ERR_BACKEND_STATUS', `status ${status}`);
      return;
    }
    const hasUnknownLength = start.bodyLength === UNKNOWN_LENGTH;
    // RFC 9112 §6.1: no chunks to an HTTP/1.0 client; the end of the connection is the end of the body.
    this.#sendsChunks = hasUnknownLength && owner.clientVersionMinor === 1;
    owner.onResponseHead(status);
    const connectionLine = owner.decideConnection(hasUnknownLength && !this.#sendsChunks);
    this.#text += this.#head(start, connectionLine, owner.addedFields(start.head, this));
  }

  #takeInterim(start: ResponseStart): void {
    const owner = this.#owner;
    if (++this.#interim > MAX_INTERIM) {
      owner.onAttemptFailed('ERR_BACKEND_BAD_RESPONSE', 'too many interim responses');
      return;
    }
    // RFC 9110 §15.2: an HTTP/1.0 client knows no interim responses.
    if (owner.clientVersionMinor === 0) return;
    this.#text += this.#head(start, '', '');
    this.flush();
    owner.onInterim(start.head.status);
  }

  switchProtocols(start: ResponseStart, rest: Buffer): void {
    if (!this.#owner.isRequestSent) {
      this.#owner.onAttemptFailed('ERR_BACKEND_UPGRADE', 'a 101 before the end of the request');
      return;
    }
    this.#text += this.#head(start, '', this.#owner.addedFields(start.head, this));
    this.flush();
    this.#owner.onSwitched(rest, isWebSocket(readUpgrade(start.head)));
  }

  #head(start: ResponseStart, connectionLine: string, addedFields: string): string {
    const { context } = this.#owner;
    return forwardResponse(start.head, start.options, {
      isChunked: this.#sendsChunks,
      dropsLength: start.misstatesLength,
      connectionLine,
      addedFields,
      redirects: this.#redirects,
      sendsVia: context.view.snapshot.forwarding.sendVia,
      clock: context,
    });
  }

  takeBody(buffer: Buffer, start: number, end: number): void {
    if (this.learner?.take(buffer, start, end) === false) this.learner = null;
    const length = end - start;
    if (this.#sendsChunks) this.#text += chunkSizeLine(length);
    if (length <= TEXT_BYTES) {
      this.#text += buffer.latin1Slice(start, end);
    } else {
      this.flush();
      this.#owner.sendBytes(buffer, start, end);
    }
    if (this.#sendsChunks) this.#text += '\r\n';
  }

  end(trailers: string): void {
    if (this.#sendsChunks) this.#text += lastChunk(trailers);
    this.flush();
    this.#owner.onResponseComplete();
  }

  flush(): void {
    const text = this.#text;
    if (text === '') return;
    this.#text = '';
    this.#owner.sendText(text);
  }
}
