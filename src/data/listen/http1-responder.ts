/**
 * Responses on one client's HTTP/1.1 connection, one after the other: their framing, and whether the connection stays. One
 * object per connection.
 *
 * Bytes of one read that belong together leave in one write: the head and a small body as one latin-1 string, which is a
 * copy by nature, so the shared read buffer is free again when the call returns.
 */
import { STATUS_CODES } from 'node:http';
import { type ResponseStart, UNKNOWN_LENGTH } from '../backend/backend-stream.ts';
import type { Victim } from '../barrier.ts';
import type { DataContext } from '../relay/context.ts';
import type { OwnAnswer } from '../relay/own-answers.ts';
import type { Responder } from '../relay/responder.ts';
import type { TunnelClient } from '../relay/tunnel.ts';
import {
  changedTrailers,
  droppedOf,
  type FieldChanges,
  linesBeside,
} from '../route/field-changes.ts';
import type { ByteStream } from '../stream/byte-stream.ts';
import { chunkSizeLine, lastChunk } from '../wire/chunked.ts';
import { forwardResponse } from '../wire/forward-response.ts';
import type { RedirectRule } from '../wire/location.ts';
import type { RequestFacts } from '../wire/request.ts';

/** The connection, as its responder sees it. */
export interface ResponderOwner extends Victim {
  readonly isTls: boolean;
  /** It ends with the exchange that is under way. */
  readonly isLeaving: boolean;
  deadlineMs: number;
  pause(): void;
  resume(): void;
  takeInput(): Buffer | null;
  /** Closes so that the client can't take what it has for a complete response. */
  reset(): void;
  /** The response is complete. `closes`: nothing may follow it. */
  exchangeDone(closes: boolean): void;
}

/** Up to here a part of a body leaves as text, in one write with what comes before it. */
const TEXT_BYTES = 16 * 1024;

const CLOSE = 'Connection: close\r\n';
const KEEP_ALIVE = 'Connection: keep-alive\r\n';

export class Http1Responder implements Responder, TunnelClient {
  readonly isTls: boolean;
  bytesOut = 0;
  isCommitted = false;

  readonly #context: DataContext;
  readonly #owner: ResponderOwner;
  readonly #stream: ByteStream;
  /** Of the request. */
  #isHead = false;
  #isVersion10 = false;
  #mayPersist = false;
  /** What its route changes in the answer. */
  #changes: FieldChanges | null = null;
  /** The final head has been sent, or waits to be. */
  #isFinal = false;
  #sendsChunks = false;
  #closes = false;
  /** Text that waits to be written together. */
  #text = '';
  /** `bytesOut` at the last flush. */
  #flushedBytes = 0;
  /** Bytes that waited for the client to read when `hasRead` was last asked. */
  #lastUnsent = 0;

  constructor(context: DataContext, owner: ResponderOwner, stream: ByteStream) {
    this.#context = context;
    this.#owner = owner;
    this.#stream = stream;
    this.isTls = owner.isTls;
  }

  /** The next exchange begins. */
  begin({ method, versionMinor, mayPersist }: RequestFacts, changes: FieldChanges | null): void {
    this.bytesOut = 0;
    this.isCommitted = false;
    this.#isHead = method === 'HEAD';
    this.#isVersion10 = versionMinor === 0;
    this.#mayPersist = mayPersist;
    this.#changes = changes;
    this.#isFinal = false;
    this.#sendsChunks = false;
    this.#closes = false;
    this.#text = '';
    this.#flushedBytes = 0;
    this.#lastUnsent = 0;
  }

  get needsDrain(): boolean {
    return this.#stream.needsDrain;
  }

  hasRead(): boolean {
    const unsent = this.needsDrain ? this.#stream.unsentBytes : 0;
    const hasChanged = unsent !== this.#lastUnsent;
    this.#lastUnsent = unsent;
    return hasChanged;
  }

  get deadlineMs(): number {
    return this.#owner.deadlineMs;
  }

  set deadlineMs(atMs: number) {
    this.#owner.deadlineMs = atMs;
  }

  // ── Answers ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** RFC 9110 §15.2: an HTTP/1.0 client knows no interim responses. */
  sendInterim(start: ResponseStart): boolean {
    if (this.#isVersion10) return false;
    this.#text += this.#head(start, '', '', null);
    this.#writeText();
    return true;
  }

  sendHead(
    start: ResponseStart,
    addedFields: string,
    redirects: RedirectRule | null,
    isRequestOpen: boolean,
  ): void {
    const isUnknown = start.bodyLength === UNKNOWN_LENGTH;
    // RFC 9112 §6.1: no chunks to an HTTP/1.0 client; the end of the connection is the end of the body.
    this.#sendsChunks = isUnknown && !this.#isVersion10;
    const connectionLine = this.#connectionLine(isRequestOpen || (isUnknown && this.#isVersion10));
    this.#isFinal = true;
    this.#text += this.#head(start, addedFields, connectionLine, redirects);
  }

  /** None where the version says it already. Where the next request begins is not known before the body of this one has ended. */
  #connectionLine(mustClose: boolean): string {
    this.#closes = mustClose || !this.#mayPersist || this.#owner.isLeaving;
    if (this.#closes) return CLOSE;
    return this.#isVersion10 ? KEEP_ALIVE : '';
  }

  #head(
    start: ResponseStart,
    addedFields: string,
    connectionLine: string,
    redirects: RedirectRule | null,
  ): string {
    const context = this.#context;
    const changes = this.#isFinal ? this.#changes : null;
    const { head, options } = start;
    const dropped =
      changes === null ? options : { nominated: droppedOf(changes, options.nominated) };
    return forwardResponse(head, dropped, {
      isChunked: this.#sendsChunks,
      dropsLength: start.misstatesLength,
      connectionLine,
      addedFields: changes === null ? addedFields : addedFields + changes.lines,
      redirects,
      sendsVia: context.view.snapshot.forwarding.sendVia,
      clock: context,
    });
  }

  sendBody(buffer: Buffer, start: number, end: number): void {
    const length = end - start;
    if (this.#sendsChunks) this.#text += chunkSizeLine(length);
    if (length <= TEXT_BYTES) {
      this.#text += buffer.latin1Slice(start, end);
    } else {
      this.#writeText();
      this.sendBytes(buffer, start, end);
    }
    if (this.#sendsChunks) this.#text += '\r\n';
  }

  flush(): boolean {
    this.#writeText();
    const hasSent = this.bytesOut !== this.#flushedBytes;
    this.#flushedBytes = this.bytesOut;
    return hasSent;
  }

  #writeText(): void {
    const text = this.#text;
    if (text === '') return;
    this.#text = '';
    if (this.#isFinal) this.isCommitted = true;
    this.sendText(text);
  }

  end(trailers: string): null {
    if (this.#sendsChunks) {
      const changes = this.#changes;
      this.#text += lastChunk(changes === null ? trailers : changedTrailers(changes, trailers));
    }
    this.#writeText();
    return null;
  }

  ownAnswer(answer: OwnAnswer, isRequestOpen: boolean): null {
    this.#text = '';
    const changes = this.#changes;
    const changed = changes === null ? answer : changedAnswer(answer, changes);
    this.sendText(answerText(changed, this.#isHead, this.#connectionLine(isRequestOpen)));
    return null;
  }

  startTunnel(start: ResponseStart, addedFields: string): TunnelClient {
    this.#closes = true;
    this.#isFinal = true;
    this.#text += this.#head(start, addedFields, '', null);
    this.#writeText();
    return this;
  }

  // ── Bytes, as a tunnel sends them too ───────────────────────────────────────────────────────────────────────────

  sendText(text: string): void {
    this.bytesOut += text.length;
    this.#stream.writeText(text);
  }

  sendBytes(buffer: Buffer, start: number, end: number): void {
    this.bytesOut += end - start;
    this.#stream.writeBorrowed(buffer, start, end);
  }

  endWriting(): void {
    this.#stream.end();
  }

  // ── The connection ──────────────────────────────────────────────────────────────────────────────────────────────

  pause(): void {
    this.#owner.pause();
  }

  resume(): void {
    this.#owner.resume();
  }

  takeInput(): Buffer | null {
    return this.#owner.takeInput();
  }

  reset(): void {
    this.#owner.reset();
  }

  exchangeDone(): void {
    this.#owner.exchangeDone(this.#closes);
  }

  onCrashed(error: unknown): void {
    this.#owner.onCrashed(error);
  }
}

export function changedAnswer(
  { status, fields, body }: OwnAnswer,
  { lines }: FieldChanges,
): OwnAnswer {
  return { status, fields: fields + linesBeside(lines, fields), body };
}

/** An answer of ours, head and body, as latin-1 text. @param isHead the request was a HEAD: the head is the same */
export function answerText(
  { status, fields, body }: OwnAnswer,
  isHead: boolean,
  connectionLine: string = CLOSE,
): string {
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${fields}${connectionLine}\r\n${isHead ? '' : body}`;
}
