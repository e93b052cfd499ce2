/**
 * One client's HTTP/2 connection (RFC 9113): its settings, its streams, and its end.
 *
 * States: open; leaving (GOAWAY is sent, streams that are under way finish); closing (all is sent, what still comes is thrown away so
 * that a reset does not destroy it on its way), closed. The frames that come are taken by http2-frames.ts.
 */
import type { ErrorCode } from '../../errors.ts';
import { endingOf } from '../../snapshot/endings.ts';
import { letGo } from '../barrier.ts';
import type { DataContext } from '../relay/context.ts';
import type { ByteStream, StreamUser } from '../stream/byte-stream.ts';
import { Http2Output } from '../stream/http2-output.ts';
import { ENHANCE_YOUR_CALM, NO_ERROR, nameOfError } from '../wire/http2/error-codes.ts';
import { FrameReader } from '../wire/http2/frame-reader.ts';
import { MAX_STREAM_ID } from '../wire/http2/frame-types.ts';
import { HeadLines } from '../wire/http2/head-lines.ts';
import { ClientReading } from './client-reading.ts';
import { type Carried, ConnectionContext } from './connection-context.ts';
import { DRAIN_IDLE_MS, leavesAtMs } from './drain-turns.ts';
import type { Http2Bodies } from './http2-bodies.ts';
import type { Http2FaultCount } from './http2-faults.ts';
import { type FramesOwner, Http2Frames } from './http2-frames.ts';
import { Http2Limits } from './http2-limits.ts';
import { beginningOf, bodiesOf, frameLimits } from './http2-settings.ts';
import type { Http2Stream, StreamOwner } from './http2-stream.ts';
import { Http2Streams } from './http2-streams.ts';
import { NEVER } from './idle-clients.ts';
import type { OpenClient } from './open-client.ts';
import { PendingInput } from './pending-input.ts';
import { ReaderWatch } from './reader-watch.ts';

/** Taken in one turn of the event loop, until other clients come in between: 32 small requests, or 2,000 frames. */
const WORK_PER_TURN = 2_048;
/** Whoever sends more at once has more to send. */
const REST_BYTES = 16 * 1024;
/** While more than this waits to leave, which no DATA makes, the client is not read: it would only ask for more. */
const MAX_UNSENT_BYTES = 512 * 1024;
/** How long a client is listened to that has been told its last. */
const CLOSING_MS = 2_000;

/** Of this thread's responses, whatever their connection. */
const lines = new HeadLines();

const IS_OPEN = 0;
const IS_CLOSING = 1;
const IS_CLOSED = 2;

export class Http2Connection implements FramesOwner, OpenClient, StreamOwner {
  readonly context: DataContext;
  readonly isTls: boolean;
  readonly output: Http2Output;
  readonly peer: ConnectionContext;
  readonly streams = new Http2Streams();
  readonly limits: Http2Limits;
  readonly bodies: Http2Bodies;
  refused: { readonly code: ErrorCode; readonly detail: string } | null = null;
  hasServed = false;
  /** GOAWAY has said that nothing above this is served. */
  lastServedId = MAX_STREAM_ID;

  readonly #stream: ByteStream;
  readonly #reading: ClientReading;
  readonly #reader: FrameReader;
  readonly #frames: Http2Frames;
  readonly #onClosed: (connection: Http2Connection) => void;
  readonly #faults: Http2FaultCount;
  #state = IS_OPEN;
  #isLeaving = false;
  /** Bytes that have their turn later. */
  #input: PendingInput | null = null;
  /** When it is over with what it is waiting for: the first request, or the next one; NEVER while a stream is open. */
  #idleByMs: number;
  /** By when a frame must be complete that has begun, and takes memory. */
  #frameByMs = NEVER;
  /** When the last GOAWAY is due. */
  #goawayAtMs = NEVER;
  #closeAtMs = NEVER;
  #readerWatch: ReaderWatch | null = null;

  constructor(
    context: DataContext,
    open: (user: StreamUser) => ByteStream,
    carried: Carried,
    onClosed: (connection: Http2Connection) => void,
  ) {
    const { limits, timeouts } = context.view.snapshot;
    this.context = context;
    this.isTls = carried.isTls;
    this.#onClosed = onClosed;
    this.#faults = carried.http2Faults;
    this.#stream = open(this);
    this.#reading = new ClientReading(this.#stream, context.heldMemory);
    this.peer = new ConnectionContext(context.view, this.#stream, carried, 'HTTP/2.0');
    this.output = new Http2Output(this.#stream, context.io, this, lines);
    this.limits = new Http2Limits(limits.http2, context.nowMs);
    this.bodies = bodiesOf(context);
    this.#frames = new Http2Frames(this);
    this.#reader = new FrameReader('server', this.#frames, frameLimits(context));
    this.#idleByMs = context.nowMs + timeouts.headMs;
    beginningOf(context, this.output);
  }

  // ── What the listener uses ──────────────────────────────────────────────────────────────────────────────────────

  get deadlineMs(): number {
    const dueMs = Math.min(this.#idleByMs, this.#frameByMs, this.#goawayAtMs, this.#closeAtMs);
    return Math.min(dueMs, this.streams.nextMs);
  }

  onDeadline(): void {
    const { nowMs } = this.context;
    if (this.#state === IS_CLOSING) {
      this.#closeOrWait();
      return;
    }
    if (this.streams.nextMs <= nowMs) this.streams.onDeadline(nowMs);
    if (this.#frameByMs <= nowMs) {
      const { headMs } = this.context.view.snapshot.timeouts;
      this.context.countError('ERR_HEAD_TIMEOUT');
      this.end(NO_ERROR, `a frame was not complete after ${headMs} ms (timeouts.head)`);
    } else if (this.#goawayAtMs <= nowMs) {
      this.#sayLast();
    } else if (this.#idleByMs <= nowMs) {
      this.end(NO_ERROR, '');
    }
  }

  get isPaused(): boolean {
    return this.#reading.isPaused;
  }

  look(nowMs: number): void {
    if (this.#reading.look(nowMs, this.heldBytes)) this.onClosed('the client reset the connection');
  }

  get idleSinceMs(): number {
    if (this.#state !== IS_OPEN || this.streams.size > 0 || this.#frameByMs !== NEVER) return NEVER;
    const { headMs, keepAliveMs } = this.context.view.snapshot.timeouts;
    return this.#idleByMs - (this.hasServed ? keepAliveMs : headMs);
  }

  makeRoom(): boolean {
    if (this.idleSinceMs === NEVER || this.output.unsentBytes > 0) return false;
    this.output.goaway(this.#frames.lastId, NO_ERROR, '');
    this.output.writeNow();
    this.#destroy();
    return true;
  }

  refuse(code: ErrorCode, _bytes: Buffer, detail = ''): void {
    this.refused = { code, detail };
  }

  /**
   * Says GOAWAY twice (RFC 9113 §6.8): first with the highest id there is, so that what is on its way is served; after a while
   * with the last one that was.
   */
  beginDrain(idleMs: number = DRAIN_IDLE_MS): boolean {
    if (this.#state !== IS_OPEN) return false;
    if (!this.#isLeaving) this.output.goaway(MAX_STREAM_ID, NO_ERROR, '');
    this.#isLeaving = true;
    const leavesMs = leavesAtMs(this, this.context.nowMs + idleMs);
    this.#goawayAtMs = Math.min(this.#goawayAtMs, leavesMs);
    return this.idleSinceMs !== NEVER;
  }

  #sayLast(): void {
    this.#goawayAtMs = NEVER;
    if (this.lastServedId === MAX_STREAM_ID) {
      this.lastServedId = this.#frames.lastId;
      this.output.goaway(this.lastServedId, NO_ERROR, '');
    }
    if (this.streams.size === 0) this.#shutDown();
  }

  /** The client has said GOAWAY: nothing new comes. */
  clientLeaves(): void {
    this.beginDrain(0);
    if (this.streams.size === 0) this.#sayLast();
  }

  get heldBytes(): number {
    const input = this.#input === null ? 0 : this.#input.buffer.length;
    const own = this.#stream.heldBytes + this.output.heldBytes + this.#reader.heldBytes;
    return own + input + this.streams.heldBytes;
  }

  cutForMemory(): void {
    this.abandon('ERR_BUFFERS_FULL', `${this.heldBytes} bytes waited (limits.buffered)`);
  }

  abandon(code: ErrorCode, detail: string): boolean {
    if (this.#state === IS_CLOSED) return false;
    const hasStreams = this.streams.size > 0;
    const isLoss = hasStreams || this.output.unsentBytes > 0;
    if (isLoss && !hasStreams) this.context.counters.cutOff(endingOf(code));
    this.streams.forgetAll((stream) => stream.wasReset(detail, code));
    this.#stream.reset();
    this.#close();
    return isLoss;
  }

  /** Not by way of `#close`, which may be what has thrown. */
  onCrashed(error: unknown): void {
    if (this.#state === IS_CLOSED) return;
    this.#state = IS_CLOSED;
    this.context.barrier.connectionCrashed(error);
    this.#reader.stop();
    this.streams.forgetAll((stream) => {
      stream.exchange?.giveUp();
      letGo(() => stream.sending.drop('ERR_INTERNAL', ''));
      letGo(() => stream.pin.close());
    });
    letGo(() => this.#stream.reset());
    letGo(() => this.peer.pin.close());
    letGo(() => this.#onClosed(this));
  }

  // ── What the streams use ────────────────────────────────────────────────────────────────────────────────────────

  noteDeadline(atMs: number): void {
    this.streams.noteDeadline(atMs);
  }

  block(stream: Http2Stream): void {
    this.streams.block(stream);
  }

  credit(stream: Http2Stream, bytes: number): void {
    this.creditConnection(this.bodies.handedOn(bytes));
    if (stream.isClosed || stream.isRemoteEnded || stream.exchange === null) return;
    const increment = stream.receiveWindow.giveBack(bytes);
    if (increment > 0) this.output.windowUpdate(stream.id, increment);
  }

  creditConnection(increment: number): void {
    if (increment > 0 && this.#state === IS_OPEN) this.output.windowUpdate(0, increment);
  }

  clientErred(): void {
    if (this.limits.reset(this.context.nowMs)) {
      this.failed(ENHANCE_YOUR_CALM, 'too many resets (limits.http2_resets)');
    }
  }

  streamClosed(stream: Http2Stream, isServed: boolean): void {
    this.streams.delete(stream);
    if (isServed) this.limits.served();
    this.hasServed = true;
    if (this.streams.size > 0 || this.#state !== IS_OPEN) return;
    this.#idleByMs = this.context.nowMs + this.context.view.snapshot.timeouts.keepAliveMs;
    if (this.#isLeaving && this.#goawayAtMs === NEVER) this.#shutDown();
  }

  // ── What the frames use ─────────────────────────────────────────────────────────────────────────────────────────

  streamOpened(stream: Http2Stream): void {
    this.streams.add(stream);
    this.#idleByMs = NEVER;
  }

  /** The client has broken the rules. */
  failed(code: number, detail: string): void {
    if (this.#state !== IS_OPEN) return;
    const error = code === ENHANCE_YOUR_CALM ? 'ERR_CLIENT_FLOOD' : 'ERR_CLIENT_HTTP2';
    const { peerAddress } = this.peer.under(this.context.view);
    this.context.countError(error);
    this.#faults.add(peerAddress, error, nameOfError(code), detail);
    this.end(code, detail);
  }

  /** GOAWAY, and nothing of what is under way. */
  end(code: number, detail: string): void {
    if (this.#state !== IS_OPEN) return;
    this.#reader.stop();
    this.output.goaway(this.#frames.lastId, code, detail);
    this.streams.forgetAll((stream) => stream.wasReset(detail));
    this.#shutDown();
  }

  // ── What the socket says ────────────────────────────────────────────────────────────────────────────────────────

  onBytes(buffer: Buffer, length: number): void {
    if (this.#state !== IS_OPEN) return;
    if (this.#input === null) {
      this.#take(buffer, length, null);
    } else {
      this.#input.append(buffer, 0, length);
      this.#reading.pause();
    }
    // It may be long until more comes, unless it is the rest of a body.
    if (length < REST_BYTES) this.#stream.rest();
  }

  #take(buffer: Buffer, length: number, held: PendingInput | null): void {
    let position = 0;
    const isTooMuch = this.output.unsentBytes > MAX_UNSENT_BYTES;
    if (!isTooMuch) {
      position = this.#reader.read(buffer, 0, length, WORK_PER_TURN);
      this.#frames.flush();
    }
    if (position < length && this.#state === IS_OPEN) {
      this.#input = PendingInput.of(buffer, position, length, held);
      this.#reading.pause();
      if (!isTooMuch) this.#reading.yield(this, () => this.#goOn());
      return;
    }
    this.#noteFrame();
  }

  /** A frame that has begun, and is kept until it is complete, has the time of a head. */
  #noteFrame(): void {
    if (this.#reader.heldBytes === 0) this.#frameByMs = NEVER;
    else if (this.#frameByMs === NEVER) {
      this.#frameByMs = this.context.nowMs + this.context.view.snapshot.timeouts.headMs;
    }
  }

  #goOn(): void {
    const input = this.#input;
    if (input === null || this.#state !== IS_OPEN || this.#reading.isYielding) return;
    this.#input = null;
    this.#take(input.buffer, input.length, input);
    if (this.#input === null) this.#reading.resume();
  }

  onDrain(): void {
    if (this.#state !== IS_OPEN) return;
    this.streams.giveTurns(this.output);
    this.#goOn();
  }

  /** Who has ended its side can't take part any more. */
  onEnd(): void {
    if (this.#state === IS_OPEN) {
      this.streams.forgetAll((stream) => stream.wasReset('the client closed the connection'));
      this.#shutDown();
    }
    if (this.output.unsentBytes === 0) this.#destroy();
  }

  onWriteFailed(detail: string): void {
    this.onClosed(detail);
  }

  onClosed(detail: string): void {
    if (this.#state === IS_CLOSED) return;
    this.streams.forgetAll((stream) => stream.wasReset(detail));
    this.#destroy();
  }

  // ── Closing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #shutDown(): void {
    if (this.#state !== IS_OPEN) return;
    this.#state = IS_CLOSING;
    this.#reader.stop();
    this.#input = null;
    this.#idleByMs = this.#frameByMs = this.#goawayAtMs = this.streams.nextMs = NEVER;
    this.#closeAtMs = this.context.nowMs + CLOSING_MS;
    this.output.writeNow();
    this.#stream.end();
    this.#reading.resume();
  }

  /** A slow reader has the time that it needs for what waits. */
  #closeOrWait(): void {
    const { unsentBytes } = this.output;
    this.#readerWatch ??= new ReaderWatch();
    this.#closeAtMs =
      unsentBytes === 0 ? 0 : this.#readerWatch.nextLookMs(unsentBytes, this.context, true);
    if (unsentBytes === 0) this.#destroy();
    else if (this.#closeAtMs === 0) this.abandon('ERR_CLIENT_TIMEOUT', 'nothing read');
  }

  #destroy(): void {
    this.#stream.destroy();
    this.#close();
  }

  #close(): void {
    if (this.#state === IS_CLOSED) return;
    this.#state = IS_CLOSED;
    this.#reader.stop();
    this.#input = null;
    this.peer.pin.close();
    this.#onClosed(this);
  }
}
