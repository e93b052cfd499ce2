/**
 * One stream of a client's HTTP/2 connection: a request and its answer, between the frames of the connection and the exchange.
 *
 * What comes of a request's body is handed on at once, and its credit goes back only while the exchange takes more (RFC 9113 §5.2):
 * so the peer stops by itself, and the connection is read on. What an answer has to send is held where the peer does not
 * take it, and its backend is paused.
 */
import { ERRORS, type ErrorCode } from '../../errors.ts';
import { type ResponseStart, UNKNOWN_LENGTH } from '../backend/backend-stream.ts';
import type { Victim } from '../barrier.ts';
import { BackendPin, type EndsSource } from '../relay/backend-pin.ts';
import type { DataContext } from '../relay/context.ts';
import type { Exchange } from '../relay/exchange.ts';
import type { Leaving } from '../relay/ledger.ts';
import type { OwnAnswer } from '../relay/own-answers.ts';
import type { Responder } from '../relay/responder.ts';
import type { TunnelClient } from '../relay/tunnel.ts';
import { changedTrailers, type FieldChanges } from '../route/field-changes.ts';
import type { Http2Output } from '../stream/http2-output.ts';
import { forwardTrailer } from '../wire/forward-response.ts';
import type { Head } from '../wire/head.ts';
import { CANCEL, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR } from '../wire/http2/error-codes.ts';
import { DEFAULT_URGENCY, isIncremental, urgencyOf } from '../wire/http2/priority.ts';
import { ReceiveWindow } from '../wire/http2/windows.ts';
import type { RedirectRule } from '../wire/location.ts';
import type { RequestFacts } from '../wire/request.ts';
import { HeldBody } from './held-body.ts';
import { changedAnswer } from './http1-responder.ts';
import { answerHead, noYes, responseHead } from './http2-heads.ts';
import { Http2StreamOutput } from './http2-stream-output.ts';
import { NEVER } from './idle-clients.ts';
import { ReaderWatch } from './reader-watch.ts';

/** The connection, as its streams see it. */
export interface StreamOwner extends Victim {
  readonly isTls: boolean;
  readonly output: Http2Output;
  /** A stream wants `onDeadline` at this time. */
  noteDeadline(atMs: number): void;
  /** It has something to send, and can't: it has its turn once it can. */
  block(stream: Http2Stream): void;
  /** So many bytes of DATA, of those that came, have been handed on: the peer may send as many again. */
  credit(stream: Http2Stream, bytes: number): void;
  /** The client has had it reset by an error of its own. */
  clientErred(): void;
  /** Neither side sends anything on it any more. @param isServed its client has had an answer, and did nothing wrong */
  streamClosed(stream: Http2Stream, isServed: boolean): void;
}

export class Http2Stream implements Responder, TunnelClient {
  readonly id: number;
  readonly isTls: boolean;
  /** The backend connections that are only for it: none is, for more than one request. */
  readonly pin: BackendPin;
  readonly sending: Http2StreamOutput;
  readonly receiveWindow: ReceiveWindow;
  /** RFC 9218. */
  urgency = DEFAULT_URGENCY;
  isIncremental = false;
  /** Null: there was none, or it is over. */
  exchange: Exchange | null = null;
  /** The client has ended its side. */
  isRemoteEnded = false;
  isClosed = false;

  readonly #context: DataContext;
  readonly #owner: StreamOwner;
  readonly #output: Http2Output;
  #deadlineMs = NEVER;
  #facts: RequestFacts | null = null;
  /** What its route changes in the answer. */
  #changes: FieldChanges | null = null;
  #received = 0;
  /** Credit that is not given back, because nobody takes more. */
  #owed = 0;
  #isPaused = false;
  #isTunnel = false;
  /** Of a tunnel that is not open yet. */
  #early: HeldBody | null = null;
  /** The exchange is over: what is left of the answer is all that is waited for. */
  #isDone = false;
  /** Why the stream is reset at its end, where it has to be. */
  #farewell = NO_ERROR;
  #lastUnsent = 0;
  #watch: ReaderWatch | null = null;

  /** @param receiveBytes of the body, before any credit */
  constructor(
    context: DataContext,
    owner: StreamOwner,
    ends: EndsSource,
    id: number,
    receiveBytes: number,
  ) {
    this.#context = context;
    this.#owner = owner;
    this.#output = owner.output;
    this.isTls = owner.isTls;
    this.id = id;
    this.pin = new BackendPin(ends);
    this.sending = new Http2StreamOutput(owner.output, id);
    this.receiveWindow = new ReceiveWindow(receiveBytes);
  }

  begin(facts: RequestFacts, changes: FieldChanges | null): void {
    this.#facts = facts;
    this.#changes = changes;
  }

  /** @param priority the value of a Priority field. */
  prioritize(priority: string): void {
    this.urgency = urgencyOf(priority);
    this.isIncremental = isIncremental(priority);
  }

  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  set deadlineMs(atMs: number) {
    this.#deadlineMs = atMs;
    this.#owner.noteDeadline(atMs);
  }

  onDeadline(): void {
    if (this.exchange !== null) {
      this.exchange.onDeadline();
    } else if (this.sending.isHeld) {
      // The answer is complete, but for its client.
      this.#watch ??= new ReaderWatch();
      const { heldBytes, isToBeSettled } = this.sending;
      this.deadlineMs = this.#watch.nextLookMs(heldBytes, this.#context, isToBeSettled);
      if (this.#deadlineMs === 0) this.reset('ERR_CLIENT_TIMEOUT');
    } else {
      this.#deadlineMs = NEVER;
    }
  }

  get heldBytes(): number {
    const held = this.sending.heldBytes + (this.#early?.length ?? 0);
    return held + (this.exchange?.heldBytes ?? 0);
  }

  // ── What the client sends ───────────────────────────────────────────────────────────────────────────────────────

  /** Some of a DATA frame: `buffer[start, end)`, borrowed until `flushBody`, which follows. */
  receive(buffer: Buffer, start: number, end: number): void {
    const { exchange } = this;
    if (exchange === null) return;
    this.#received += end - start;
    const length = this.#facts?.contentLength ?? UNKNOWN_LENGTH;
    if (length !== UNKNOWN_LENGTH && this.#received > length) {
      this.malformed('ERR_BAD_CONTENT_LENGTH');
    } else if (exchange.isUploadOpen) {
      exchange.upload?.take(buffer, start, end);
    } else if (exchange.wantsClientBytes) {
      exchange.onClientBytes(buffer, start, end);
    } else {
      this.#early ??= new HeldBody();
      this.#early.append(buffer, start, end);
    }
  }

  /** That was a whole frame. @param length with its padding */
  received(length: number): void {
    if ((this.#isPaused || this.#early !== null) && !this.isClosed) this.#owed += length;
    else this.#owner.credit(this, length);
  }

  /** The client has ended its side. @param trailers of its request */
  remoteEnded(trailers: Head | null): void {
    this.isRemoteEnded = true;
    const { exchange } = this;
    if (exchange === null) return;
    const { contentLength, nominated, upgrade } = this.#facts as RequestFacts;
    if (contentLength !== UNKNOWN_LENGTH && contentLength !== this.#received) {
      // RFC 9113 §8.1.1.
      this.malformed('ERR_BAD_CONTENT_LENGTH');
    } else if (exchange.isUploadOpen) {
      exchange.upload?.complete(trailers === null ? '' : forwardTrailer(trailers, nominated));
      exchange.onBodyFlush();
    } else if (this.#isTunnel) {
      exchange.onClientEnd();
    } else if (upgrade !== '') {
      this.fail(CANCEL, 'the client ended the stream before there was a tunnel');
    }
  }

  flushBody(): void {
    this.exchange?.onBodyFlush();
  }

  /** Its request is malformed: it may be answered, and is reset in any case (RFC 9113 §8.1.1). */
  isMalformed(): void {
    this.#farewell = PROTOCOL_ERROR;
  }

  malformed(code: ErrorCode): void {
    this.#farewell = PROTOCOL_ERROR;
    this.exchange?.fail(code, `after ${this.#received} bytes of body`);
    this.#owner.clientErred();
  }

  /** The peer has reset it, or its connection is gone. @param code what the log says; by default the client has left */
  wasReset(detail: string, code?: ErrorCode): void {
    this.isRemoteEnded = true;
    this.sending.drop(code, detail);
    this.fail(CANCEL, detail, code);
  }

  /** Resets it, unless both sides have ended. */
  fail(code: number, detail: string, error?: ErrorCode): void {
    const { exchange } = this;
    this.exchange = null;
    exchange?.onClientGone(detail, error);
    this.#reset(code);
  }

  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#context.heldMemory.paused();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#early === null) this.#settleCredit();
  }

  #settleCredit(): void {
    const owed = this.#owed;
    this.#owed = 0;
    if (owed > 0) this.#owner.credit(this, owed);
  }

  takeInput(): Buffer | null {
    const early = this.#early?.takeAll() ?? null;
    this.#early = null;
    if (!this.#isPaused) this.#settleCredit();
    return early;
  }

  // ── What it is answered ─────────────────────────────────────────────────────────────────────────────────────────

  get bytesOut(): number {
    return this.sending.bytesOut;
  }

  get isCommitted(): boolean {
    return this.sending.isCommitted;
  }

  get needsDrain(): boolean {
    return this.sending.isHeld || this.#output.needsDrain;
  }

  /** Of what waits for a window, or else of what waits for the connection. */
  hasRead(): boolean {
    const unsent = this.sending.isHeld ? this.sending.heldBytes : this.#output.unsentBytes;
    const hasChanged = this.needsDrain && unsent !== this.#lastUnsent;
    this.#lastUnsent = unsent;
    return hasChanged;
  }

  sendInterim(start: ResponseStart): boolean {
    this.sending.interim(responseHead(this.#context, start, '', null, null));
    return true;
  }

  sendHead(start: ResponseStart, addedFields: string, redirects: RedirectRule | null): void {
    const head = responseHead(this.#context, start, addedFields, redirects, this.#changes);
    this.sending.head(this.#isHandshake ? noYes(head, start.head.status) : head);
  }

  /** Of a WebSocket (RFC 8441): what it was here is a CONNECT. */
  get #isHandshake(): boolean {
    return this.#facts !== null && this.#facts.upgrade !== '';
  }

  sendBody(buffer: Buffer, start: number, end: number): void {
    this.sending.body(buffer, start, end);
  }

  flush(): boolean {
    this.#pump();
    return this.sending.hasGrown();
  }

  #pump(): Leaving | null {
    this.sending.pump();
    if (this.needsDrain) this.#owner.block(this);
    this.#closeIfOver();
    return this.sending.isEnded ? null : this.sending;
  }

  end(trailers: string): Leaving | null {
    const changes = this.#changes;
    this.sending.complete(changes === null ? trailers : changedTrailers(changes, trailers));
    return this.#pump();
  }

  ownAnswer(answer: OwnAnswer): Leaving | null {
    const changed = this.#changes === null ? answer : changedAnswer(answer, this.#changes);
    const head = answerHead(changed);
    this.sending.head(this.#isHandshake ? noYes(head, changed.status) : head);
    this.sending.bodyText(this.#facts?.method === 'HEAD' ? '' : changed.body);
    this.sending.complete('');
    return this.#pump();
  }

  /** It is answered without an exchange. @param head the text of a whole head */
  answerAlone(head: string, body: string): void {
    this.sending.head(head);
    this.sending.bodyText(body);
    this.sending.complete('');
    this.exchangeDone();
  }

  startTunnel(start: ResponseStart, addedFields: string): TunnelClient {
    this.#isTunnel = true;
    const head = responseHead(this.#context, start, addedFields, null, this.#changes);
    this.sending.head(head);
    this.#pump();
    return this;
  }

  sendText(text: string): void {
    this.sendBytes(Buffer.from(text, 'latin1'), 0, text.length);
  }

  sendBytes(buffer: Buffer, start: number, end: number): void {
    this.sending.send(buffer, start, end);
    if (this.needsDrain) this.#owner.block(this);
  }

  endWriting(): void {
    this.end('');
  }

  /** It has its turn. @param most bytes of what was held that may leave */
  onRoom(most: number): void {
    this.sending.pump(most);
    this.#closeIfOver();
  }

  /** All that was held has left. */
  onDrained(): void {
    this.exchange?.onClientDrain();
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  exchangeDone(): void {
    this.exchange = null;
    this.#isDone = true;
    this.#isPaused = false;
    this.#early = null;
    this.#settleCredit();
    if (this.#isTunnel) this.sending.complete('');
    this.#pump();
    this.deadlineMs = this.sending.isHeld ? this.#context.nowMs : NEVER;
  }

  /** RFC 9113 §8.1: an answer that is complete before its request is no error. */
  #closeIfOver(): void {
    if (!(this.#isDone && this.sending.isEnded) || this.isClosed) return;
    const mustReset = !this.isRemoteEnded || this.#farewell !== NO_ERROR;
    if (mustReset) this.#output.reset(this.id, this.#farewell);
    this.#close(this.#farewell === NO_ERROR);
  }

  reset(code: ErrorCode): void {
    this.exchange = null;
    this.sending.lose(code, ERRORS[code].message);
    if (this.#farewell !== NO_ERROR) this.#reset(this.#farewell);
    else this.#reset(ERRORS[code].source === 'client' ? CANCEL : INTERNAL_ERROR);
  }

  #reset(code: number): void {
    if (this.isClosed) return;
    if (!(this.sending.isEnded && this.isRemoteEnded)) this.#output.reset(this.id, code);
    this.#close();
  }

  #close(isServed = false): void {
    this.isClosed = true;
    this.exchange = null;
    this.sending.drop();
    this.#early = null;
    this.#deadlineMs = NEVER;
    this.pin.close();
    this.#settleCredit();
    this.#owner.streamClosed(this, isServed);
  }

  onCrashed(error: unknown): void {
    this.#owner.onCrashed(error);
  }
}
