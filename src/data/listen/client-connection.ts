/**
 * One client's HTTP/1.1 connection: reads heads, runs one exchange at a time, keeps what is pipelined for later.
 *
 * States: waiting for a head (perhaps with a part of it), in an exchange, lingering (the last answer is out, what still
 * comes is thrown away so that a reset does not destroy the answer on its way), closed.
 */
import type { ErrorCode } from '../../errors.ts';
import { endingOf } from '../../snapshot/endings.ts';
import { letGo } from '../barrier.ts';
import type { DataContext } from '../relay/context.ts';
import { Exchange } from '../relay/exchange.ts';
import type { ByteStream, StreamUser } from '../stream/byte-stream.ts';
import { PARSE_FAILED, PARSE_MORE } from '../wire/first-line.ts';
import type { HeadParser } from '../wire/head-parser.ts';
import { readRequest } from '../wire/request.ts';
import { ClientReading } from './client-reading.ts';
import { type Carried, ConnectionContext } from './connection-context.ts';
import { DRAIN_IDLE_MS, leavesAtMs } from './drain-turns.ts';
import { bodyOf, type Http1Body, handOver } from './http1-body.ts';
import { Http1Responder, type ResponderOwner } from './http1-responder.ts';
import { NEVER } from './idle-clients.ts';
import { incomingRequest } from './incoming-request.ts';
import { Lingering } from './lingering.ts';
import type { OpenClient } from './open-client.ts';
import { PendingInput } from './pending-input.ts';
import { ReaderWatch } from './reader-watch.ts';
import { refusal } from './refusal.ts';

/** Pipelined requests taken in one turn of the event loop: other clients come in between. */
const REQUESTS_PER_TURN = 16;

const IS_READING = 0;
const IS_LINGERING = 1;
const IS_CLOSED = 2;

export class ClientConnection implements OpenClient, ResponderOwner {
  deadlineMs: number;

  readonly #context: DataContext;
  readonly #stream: ByteStream;
  readonly #reading: ClientReading;
  readonly #responder: Http1Responder;
  readonly #onClosed: (connection: ClientConnection) => void;
  readonly isTls: boolean;
  readonly #peer: ConnectionContext;
  #state = IS_READING;
  #exchange: Exchange | null = null;
  #body: Http1Body | null = null;
  #parser: HeadParser | null = null;
  /** Bytes that are not taken yet: a part of a head, or what was pipelined. */
  #input: PendingInput | null = null;
  #isProcessing = false;
  hasServed = false;
  isLeaving = false;
  #lingering: Lingering | null = null;
  #readerWatch: ReaderWatch | null = null;

  constructor(
    context: DataContext,
    open: (user: StreamUser) => ByteStream,
    carried: Carried,
    onClosed: (connection: ClientConnection) => void,
  ) {
    this.#context = context;
    this.#onClosed = onClosed;
    this.isTls = carried.isTls;
    this.#stream = open(this);
    this.#reading = new ClientReading(this.#stream, context.heldMemory);
    this.#responder = new Http1Responder(context, this, this.#stream);
    this.#peer = new ConnectionContext(context.view, this.#stream, carried);
    this.deadlineMs = context.nowMs + context.view.snapshot.timeouts.headMs;
  }

  // ── What the responder uses ─────────────────────────────────────────────────────────────────────────────────────────

  pause(): void {
    this.#reading.pause();
  }

  resume(): void {
    this.#reading.resume();
  }

  takeInput(): Buffer | null {
    const input = this.#input?.bytes ?? null;
    this.#input = null;
    return input;
  }

  reset(): void {
    if (this.#state === IS_CLOSED) return;
    this.#stream.reset();
    this.#close();
  }

  exchangeDone(closes: boolean): void {
    this.#exchange = null;
    this.#body = null;
    if (this.#state !== IS_READING) return;
    if (closes) {
      this.#linger();
      return;
    }
    this.hasServed = true;
    this.deadlineMs = this.#context.nowMs + this.#context.view.snapshot.timeouts.keepAliveMs;
    if (this.isLeaving) this.beginDrain();
    if (!this.#isProcessing) this.#goOn();
  }

  // ── What the listener uses ──────────────────────────────────────────────────────────────────────────────────────

  get isPaused(): boolean {
    return this.#reading.isPaused;
  }

  look(nowMs: number): void {
    if (this.#reading.look(nowMs, this.heldBytes)) this.onClosed('the client reset the connection');
  }

  onDeadline(): void {
    if (this.#exchange !== null) {
      this.#exchange.onDeadline();
    } else if (this.#stream.unsentBytes > 0) {
      this.#readerWatch ??= new ReaderWatch();
      this.deadlineMs = this.#readerWatch.nextLookMs(this.#stream.unsentBytes, this.#context);
      if (this.deadlineMs === 0) this.reset();
    } else if (this.#state === IS_LINGERING) {
      this.#destroy();
    } else if (this.#begunBytes === 0) {
      this.#linger();
    } else {
      const { headMs } = this.#context.view.snapshot.timeouts;
      const detail = `the head was not complete after ${headMs} ms (timeouts.head)`;
      const { buffer, length } = this.#input as PendingInput;
      this.#refuse('ERR_HEAD_TIMEOUT', detail, buffer, 0, length);
    }
  }

  /** Of a head that is not complete yet. */
  get #begunBytes(): number {
    return this.#parser?.isUntouched === false ? (this.#input?.length ?? 0) : 0;
  }

  /** Answers what a new connection has said first without serving it: `bytes` are borrowed. */
  refuse(code: ErrorCode, bytes: Buffer, detail = ''): void {
    this.#parser = this.#context.borrowRequestParser();
    this.#parser.parse(bytes, 0, bytes.length);
    this.#refuse(code, detail, bytes, 0, bytes.length);
  }

  get idleSinceMs(): number {
    if (this.#exchange !== null || this.#state !== IS_READING || this.#begunBytes > 0) return NEVER;
    const { headMs, keepAliveMs } = this.#context.view.snapshot.timeouts;
    return this.deadlineMs - (this.hasServed ? keepAliveMs : headMs);
  }

  makeRoom(): boolean {
    if (this.idleSinceMs === NEVER || this.#stream.unsentBytes > 0) return false;
    this.#destroy();
    return true;
  }

  /** Whether it is idle, and closes soon. One in an exchange, or in the middle of a head, closes with its answer. */
  beginDrain(idleMs: number = DRAIN_IDLE_MS): boolean {
    this.isLeaving = true;
    if (this.idleSinceMs === NEVER) return false;
    this.deadlineMs = Math.min(this.deadlineMs, leavesAtMs(this, this.#context.nowMs + idleMs));
    return true;
  }

  get heldBytes(): number {
    const input = this.#input === null ? 0 : this.#input.buffer.length;
    return this.#stream.heldBytes + input + (this.#exchange?.heldBytes ?? 0);
  }

  cutForMemory(): void {
    this.abandon('ERR_BUFFERS_FULL', `${this.heldBytes} bytes waited (limits.buffered)`);
  }

  /** Whatever runs here is cut. @returns whether the client has lost something by it. */
  abandon(code: ErrorCode, detail: string): boolean {
    if (this.#state === IS_CLOSED) return false;
    const isLoss = this.#exchange !== null || this.#begunBytes > 0 || this.#stream.unsentBytes > 0;
    const exchange = this.#exchange;
    this.#exchange = null;
    if (exchange !== null) exchange.onClientGone(detail, code);
    else if (isLoss) this.#context.counters.cutOff(endingOf(code));
    this.reset();
    return isLoss;
  }

  /** Not by way of `#close`, which may be what has thrown. A parser that was left in the middle is not lent out again. */
  onCrashed(error: unknown): void {
    this.#state = IS_CLOSED;
    this.#context.barrier.connectionCrashed(error);
    this.#exchange?.giveUp();
    this.#exchange = null;
    letGo(() => this.#stream.reset());
    letGo(() => this.#peer.pin.close());
    letGo(() => this.#onClosed(this));
  }

  // ── What the socket says ────────────────────────────────────────────────────────────────────────────────────────

  /** Bytes arrived in `buffer[0, length)`, borrowed for the length of the call. */
  onBytes(buffer: Buffer, length: number): void {
    this.#take(buffer, length);
    // It may be long until more comes, unless it is the rest of a body.
    if (this.#exchange?.isUploadOpen !== true) this.#stream.rest();
  }

  #take(buffer: Buffer, length: number): void {
    if (this.#state === IS_CLOSED) return;
    if (this.#lingering !== null) {
      this.deadlineMs = this.#lingering.throwAway(length, this.#context.nowMs);
      if (this.#lingering.isTooMuch) this.#destroy();
      return;
    }
    const exchange = this.#exchange;
    if (exchange === null && this.#input === null) {
      this.#process(buffer, 0, length);
      return;
    }
    let start = 0;
    // Bytes that wait go first; they can only wait behind an exchange that takes no more.
    if (exchange !== null && this.#input === null && exchange.wantsClientBytes) {
      start = handOver(exchange, this.#body, buffer, length);
      if (this.#state !== IS_READING) return;
    }
    if (start === length) return;
    this.#input ??= new PendingInput();
    this.#input.append(buffer, start, length);
    if (this.#exchange === null) this.#goOn();
    else this.#readOnOrPause();
  }

  /** No exchange runs: takes what waits, and reads on. */
  #goOn(): void {
    if (this.#reading.isYielding) this.#readOnOrPause();
    else if (this.#input === null) this.resume();
    else this.#process(this.#input.buffer, 0, this.#input.length);
  }

  #goOnLater(): void {
    const isFree = (): boolean => this.#state === IS_READING && this.#exchange === null;
    this.#reading.yield(this, () => isFree() && this.#goOn());
  }

  /** What waits is bounded, but for a head that is not complete yet: that one has a limit of its own. */
  #readOnOrPause(): void {
    const exchange = this.#exchange;
    // A body or a tunnel is read as fast as its backend takes it.
    if (exchange?.wantsClientBytes === true) return;
    const mustWait = exchange !== null || this.#stream.needsDrain || this.#reading.isYielding;
    this.#reading.goOn(mustWait ? (this.#input?.length ?? 0) : 0);
  }

  onDrain(): void {
    if (this.#exchange !== null) this.#exchange.onClientDrain();
    else if (this.#state === IS_READING) this.#goOn();
  }

  onEnd(): void {
    if (this.#state !== IS_READING) {
      // What it has not read yet is still on its way; once that has left, Node closes the socket by itself.
      if (this.#stream.unsentBytes === 0) this.#destroy();
    } else if (this.#exchange !== null) {
      this.#exchange.onClientEnd();
    } else if (this.#stream.unsentBytes > 0) {
      this.#linger();
    } else {
      this.#destroy();
    }
  }

  /** Whoever can't be answered any more is gone. */
  onWriteFailed(detail: string): void {
    this.onClosed(detail);
  }

  onClosed(detail: string): void {
    if (this.#state === IS_CLOSED) return;
    const exchange = this.#exchange;
    this.#exchange = null;
    exchange?.onClientGone(detail);
    this.#destroy();
  }

  // ── Reading heads ───────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Takes as many requests from `buffer[start, end)` as can be served at once; keeps the rest. While answers wait for the
   * client to read them, no further request is served: a client that only asks would fill the memory with answers.
   */
  #process(buffer: Buffer, start: number, end: number): void {
    this.#isProcessing = true;
    let position = start;
    let left = REQUESTS_PER_TURN;
    while (
      position < end &&
      left-- > 0 &&
      this.#exchange === null &&
      this.#state === IS_READING &&
      !this.#stream.needsDrain
    ) {
      const parser = (this.#parser ??= this.#context.borrowRequestParser());
      const outcome = parser.parse(buffer, position, end);
      if (outcome === PARSE_MORE) {
        // Once from the first byte of a head on, not with every byte: a head has one deadline.
        if (this.hasServed) {
          this.hasServed = false;
          this.deadlineMs = this.#context.nowMs + this.#context.view.snapshot.timeouts.headMs;
        }
        break;
      }
      if (outcome === PARSE_FAILED) {
        this.#refuse(parser.error as ErrorCode, '', buffer, position, end);
        break;
      }
      position = this.#startExchange(parser, buffer, position, end);
    }
    this.#isProcessing = false;
    if (this.#state !== IS_READING) return;
    this.#input = PendingInput.of(buffer, position, end, this.#input);
    if (left < 0 && position < end && this.#exchange === null) this.#goOnLater();
    this.#readOnOrPause();
  }

  /** @returns the offset of the first byte that the exchange did not take. */
  #startExchange(parser: HeadParser, buffer: Buffer, base: number, end: number): number {
    const context = this.#context;
    const facts = readRequest(parser, context.view.forwardRules);
    if (typeof facts === 'string') {
      this.#refuse(facts, '', buffer, base, base + parser.length);
      return end;
    }
    const peer = this.#peer.under(context.view);
    const alone = this.#peer.answeredAlone(context, facts, parser, parser.length);
    if (alone !== null) {
      this.#stream.writeText(alone.head + alone.body);
      this.#linger();
      return end;
    }
    const request = incomingRequest(context, parser, facts, peer, this.#peer.pin, parser.length);
    const bodyStart = base + parser.length;
    this.#releaseParser();
    this.#responder.begin(facts, request.answerChanges);
    const exchange = new Exchange(context, this.#responder, request);
    this.#exchange = exchange;
    this.#body = bodyOf(exchange, request.facts, context.view.headLimits.request);
    exchange.begin();
    return this.#body === null ? bodyStart : this.#body.receive(buffer, bodyStart, end);
  }

  /** Answers a request that never became an exchange. Where the next one would begin is unknown: nothing follows. */
  #refuse(code: ErrorCode, detail: string, buffer: Buffer, base: number, end: number): void {
    const { peerAddress } = this.#peer.under(this.#context.view);
    this.#parser?.lieIn(buffer, base);
    const answer = refusal(this.#context, code, detail, peerAddress, this.#parser, end - base);
    this.#stream.writeText(answer);
    this.#linger();
  }

  #releaseParser(): void {
    if (this.#parser !== null) this.#context.returnRequestParser(this.#parser);
    this.#parser = null;
  }

  // ── Closing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Sends FIN and reads on for a while: closing with unread bytes would make the kernel send a reset, which can destroy
   * the answer before the client has read it (RFC 9112 §9.6).
   */
  #linger(): void {
    if (this.#state !== IS_READING) return;
    this.#state = IS_LINGERING;
    this.#input = null;
    this.#releaseParser();
    this.#lingering = new Lingering(this.#context.nowMs);
    this.deadlineMs = this.#lingering.deadlineMs;
    this.#stream.end();
    this.resume();
  }

  #destroy(): void {
    this.#stream.destroy();
    this.#close();
  }

  #close(): void {
    if (this.#state === IS_CLOSED) return;
    this.#state = IS_CLOSED;
    this.#exchange = null;
    this.#input = null;
    this.#peer.pin.close();
    this.#releaseParser();
    this.#onClosed(this);
  }
}
