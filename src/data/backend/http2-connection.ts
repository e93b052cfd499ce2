/**
 * An HTTP/2 connection to a backend (RFC 9113) with the streams that it carries. It is open once the backend's SETTINGS have
 * come: until then nothing of a request has been sent, and those that are to go over it wait.
 *
 * It is read whatever its streams do: credit for the connection goes back at once, and each stream has its own.
 */
import type { ErrorCode } from '../../errors.ts';
import { letGo, type Victim } from '../barrier.ts';
import { ALPN_HTTP2, type ClientTerms } from '../stream/client-terms.ts';
import { Http2Output } from '../stream/http2-output.ts';
import type { ThreadIo } from '../stream/thread-io.ts';
import { FLOW_CONTROL_ERROR, HTTP_1_1_REQUIRED, NO_ERROR } from '../wire/http2/error-codes.ts';
import { MAX_STREAM_ID } from '../wire/http2/frame-types.ts';
import { HeadLines } from '../wire/http2/head-lines.ts';
import { SETTING_INITIAL_WINDOW_SIZE } from '../wire/http2/settings.ts';
import {
  BackendConnection,
  type ConnectionOwner,
  type ConnectionUser,
} from './backend-connection.ts';
import type { BackendStreamUser } from './backend-stream.ts';
import { Floods } from './http2-floods.ts';
import { type FramesOwner, Http2Frames } from './http2-frames.ts';
import { LateFailures } from './http2-late-failures.ts';
import { told } from './http2-owned-stream.ts';
import {
  goneUnseen,
  notHttp2,
  notHttp2OverTls,
  refusesHttp2,
  silentPing,
} from './http2-refusals.ts';
import { SendTurns } from './http2-send-turns.ts';
import { beginWith } from './http2-settings.ts';
import type { Http2Purpose, Http2Siblings } from './http2-siblings.ts';
import { PING_DATA, Silence } from './http2-silence.ts';
import { Http2Stream } from './http2-stream.ts';
import type { StreamOwner } from './http2-stream-owner.ts';
import { detached, failWaiting, WaitingStreams } from './http2-waiting.ts';

/** On one connection, whatever the backend takes. */
const MAX_STREAMS = 1_000;

/** Of all requests to backends of this thread. */
const lines = new HeadLines();

const IS_CONNECTING = 0;
const AWAITS_SETTINGS = 1;
const IS_OPEN = 2;
const IS_CLOSED = 3;

export class Http2Connection implements ConnectionUser, StreamOwner, FramesOwner {
  readonly connection: BackendConnection;
  readonly backend: ConnectionOwner;
  readonly output: Http2Output;
  /** Of the deaths of its siblings, how many had been when it was opened. */
  readonly generation: number;
  /** It takes no more streams, and closes behind the last one. */
  isDraining = false;
  /** Without streams since then, on the precise clock; −1: it has some. */
  idleSinceMs = -1;
  /** On the awake clock. */
  readonly begunAtMs: number;

  readonly #siblings: Http2Siblings;
  readonly #io: ThreadIo;
  readonly #purpose: Http2Purpose;
  readonly #frames: Http2Frames;
  readonly turns: SendTurns;
  readonly #streams = new Map<number, Http2Stream>();
  readonly #late: LateFailures;
  readonly #silence = new Silence();
  readonly #waiting = new WaitingStreams();
  #state = IS_CONNECTING;
  /** Streams that are under way, or wait. */
  #count = 0;
  #nextId = 1;
  #firstBytes = '';

  /** Begins to connect. */
  constructor(
    siblings: Http2Siblings,
    backend: ConnectionOwner,
    io: ThreadIo,
    terms: ClientTerms,
    purpose: Http2Purpose,
    generation: number,
  ) {
    this.#siblings = siblings;
    this.backend = backend;
    this.#io = io;
    this.#purpose = purpose;
    this.generation = generation;
    this.begunAtMs = io.deadlines.nowMs;
    const floods = new Floods();
    this.#frames = new Http2Frames(this, floods, backend.headLimits);
    this.connection = new BackendConnection(backend, this, io, purpose.header, terms);
    this.output = new Http2Output(this.connection, io, this, lines);
    this.#late = new LateFailures(io, this);
    this.turns = new SendTurns(this.output, this.#silence, floods, io);
  }

  get isOpen(): boolean {
    return this.#state === IS_OPEN;
  }

  get isClosed(): boolean {
    return this.#state === IS_CLOSED;
  }

  /** Its requests. */
  get count(): number {
    return this.#count;
  }

  /** So many more requests it takes. */
  get room(): number {
    if (this.isDraining || this.isClosed || this.connection.isOutdated) return 0;
    const { isPrivate, isAlone } = this.#purpose;
    // What was to be for one alone, whatever it speaks, is for all once it speaks HTTP/2.
    if (isPrivate || (isAlone && this.#state === IS_CONNECTING)) return 0;
    if (this.isOpen) return this.#limit - this.#count;
    return this.#siblings.assumedStreams - this.#count;
  }

  get #limit(): number {
    const { maxConcurrentStreams } = this.output.peer;
    return this.#purpose.isPrivate ? 1 : Math.min(maxConcurrentStreams, MAX_STREAMS);
  }

  /** @param isMoved it has been promised a connection before, and is told when there is one. */
  take(user: BackendStreamUser, isMoved = false): Http2Stream {
    this.#count++;
    if (this.idleSinceMs !== -1) {
      this.idleSinceMs = -1;
      this.backend.counters.idleChanged(-1);
    }
    const stream = new Http2Stream(this, user, this.isOpen && !isMoved);
    if (!this.isOpen) this.#waiting.add(stream);
    return stream;
  }

  // ── What streams send ───────────────────────────────────────────────────────────────────────────────────────────

  get hasConnectProtocol(): boolean {
    return this.output.peer.enableConnectProtocol;
  }

  sendRequest(
    stream: Http2Stream,
    head: string,
    authority: string,
    protocol: string,
    endsStream: boolean,
  ): void {
    const id = this.#nextId;
    this.#nextId += 2;
    if (this.#nextId > MAX_STREAM_ID) this.isDraining = true;
    stream.id = id;
    stream.sendWindow.available = this.output.peer.initialWindowSize;
    this.#streams.set(id, stream);
    const scheme = this.backend.spec.tls ? 'https' : 'http';
    this.output.request(id, head, { scheme, authority, protocol }, endsStream);
    this.#silence.sent(this.nowMs);
  }

  requireHttp1(): boolean {
    if (this.connection.terms.protocol !== 'auto') return false;
    this.#siblings.onHttp1Required();
    return true;
  }

  failLater(stream: Http2Stream, code: ErrorCode, detail: string): void {
    this.#late.add(stream, code, detail);
  }

  leave(stream: Http2Stream): void {
    this.#count--;
    this.turns.leave(stream);
    if (stream.id !== 0) this.#streams.delete(stream.id);
    else this.#waiting.delete(stream);
    if (this.#count === 0) this.#rest();
  }

  #rest(): void {
    if (this.isClosed) return;
    const mayStay = this.isOpen && !this.isDraining && !this.#purpose.isPrivate;
    if (!mayStay || this.connection.isOutdated || this.#siblings.keepsNone) {
      this.close();
      return;
    }
    this.idleSinceMs = performance.now();
    this.backend.counters.idleChanged(1);
    this.connection.rest();
  }

  // ── What the connection says ────────────────────────────────────────────────────────────────────────────────────

  get victim(): Victim {
    return this;
  }

  get nowMs(): number {
    return this.#io.deadlines.nowMs;
  }

  onBackendConnected(): void {
    const { protocol, terms } = this.connection;
    if (this.backend.spec.tls && protocol !== ALPN_HTTP2) {
      if (terms.protocol === 'auto') this.#becomeHttp1();
      else this.#failToOpen('ERR_BACKEND_NOT_HTTP2', notHttp2OverTls(protocol));
      return;
    }
    this.#state = AWAITS_SETTINGS;
    beginWith(this.output, this.#frames.headListBytes, this.#frames.growWindow());
  }

  #becomeHttp1(): void {
    const users = detached(this.#waiting.takeAll());
    this.#count = 0;
    this.#state = IS_CLOSED;
    this.#siblings.onClosed(this);
    this.#siblings.onHttp1(this.connection, users);
  }

  /** Another one is ready, over which they may go. @returns who has waited for it: it is closed */
  giveUpWaiting(): BackendStreamUser[] {
    if (this.#state !== IS_CONNECTING || this.#purpose.isPrivate) return [];
    const users = detached(this.#waiting.takeAll());
    this.#count = 0;
    this.close();
    return users;
  }

  onBackendConnectFailed(code: ErrorCode, detail: string): void {
    if (refusesHttp2(code, detail)) this.#failToOpen('ERR_BACKEND_NOT_HTTP2', notHttp2OverTls(''));
    else this.#failToOpen(code, detail);
  }

  #failToOpen(code: ErrorCode, detail: string): void {
    const waiting = this.#waiting.takeAll();
    this.close();
    failWaiting(waiting, code, detail);
  }

  onBackendBytes(buffer: Buffer, length: number): void {
    this.#silence.heard();
    if (this.#state === AWAITS_SETTINGS && this.#firstBytes === '') {
      this.#firstBytes = buffer.latin1Slice(0, Math.min(length, 16));
    }
    this.#frames.read(buffer, length);
    if (this.#count === 0) this.connection.rest();
  }

  onBackendEnd(detail: string): void {
    if (this.#state === AWAITS_SETTINGS) {
      this.#failToOpen('ERR_BACKEND_UNREACHABLE', `${detail}, ${notHttp2(this.#firstBytes)}`);
    } else {
      this.#failAll('ERR_BACKEND_CLOSED', detail);
    }
  }

  onBackendWriteFailed(): void {
    this.isDraining = true;
    this.turns.isOver = true;
    for (const stream of this.#streams.values()) {
      stream.dropWaiting();
      told(stream, () => stream.noteRoom());
    }
  }

  onBackendDrain(): void {
    this.turns.goOn();
    for (const stream of this.#streams.values()) {
      if (!this.turns.isBlocked(stream)) told(stream, () => stream.noteRoom());
    }
  }

  onBackendCutOff(): void {
    for (const stream of [...this.#streams.values(), ...this.#waiting]) {
      told(stream, () => stream.noteCutOff());
    }
  }

  /** An exception that none of its streams had to pay for alone. */
  onCrashed(error: unknown): void {
    letGo(() => this.backend.crashed(error));
    letGo(() => this.#failAll('ERR_INTERNAL', 'an exception in the handling of its connection'));
  }

  // ── What frames say ─────────────────────────────────────────────────────────────────────────────────────────────

  streamOf(id: number): Http2Stream | undefined {
    return this.#streams.get(id);
  }

  isIdle(id: number): boolean {
    return id % 2 === 0 || id >= this.#nextId;
  }

  onSetting(id: number, value: number): void {
    const before = this.output.peer.initialWindowSize;
    this.output.setPeer(id, value);
    if (id === SETTING_INITIAL_WINDOW_SIZE) this.#shiftWindows(value - before);
  }

  #shiftWindows(difference: number): void {
    for (const stream of this.#streams.values()) {
      if (stream.sendWindow.shift(difference)) continue;
      this.breakOff(FLOW_CONTROL_ERROR, 'too large a window for a stream');
      return;
    }
    if (difference > 0) this.turns.goOn();
  }

  onSettings(): void {
    if (this.#state !== AWAITS_SETTINGS) return;
    this.#state = IS_OPEN;
    const waiting = this.#waiting.takeAll();
    const limit = this.#limit;
    const overflow = waiting.slice(limit);
    this.#count -= overflow.length;
    // It would be in the way of those that take some.
    if (limit === 0) this.isDraining = true;
    this.#siblings.onOpened(limit);
    for (const stream of waiting.slice(0, limit)) told(stream, () => stream.user?.onConnected());
    if (overflow.length > 0) this.#siblings.onOverflow(detached(overflow));
    else this.#siblings.onReady(this);
    if (this.#count === 0 && this.idleSinceMs === -1) this.#rest();
  }

  /** RFC 9113 §6.8: what is above the last stream was never seen. */
  onGoaway(lastStreamId: number, code: number, detail: string): void {
    this.isDraining = true;
    if (code === HTTP_1_1_REQUIRED) this.requireHttp1();
    const why = goneUnseen(code, detail);
    for (const stream of this.#streams.values()) {
      if (stream.id <= lastStreamId) continue;
      stream.cutOff();
      told(stream, () => stream.failed(stream.lostCode('ERR_BACKEND_GOAWAY'), why));
    }
    if (this.#count === 0) this.close();
  }

  onCredit(stream: Http2Stream | null, increment: number): boolean {
    return this.turns.credit(stream, increment);
  }

  breakOff(code: number, detail: string): void {
    if (this.isClosed) return;
    const isNew = this.#state === AWAITS_SETTINGS;
    this.#sayGoodbye(code, detail);
    if (isNew)
      this.#failToOpen('ERR_BACKEND_NOT_HTTP2', `${detail}; ${notHttp2(this.#firstBytes)}`);
    else this.#failAll('ERR_BACKEND_RESET', `the backend breaks HTTP/2: ${detail}`);
  }

  // ── Its end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @param nowMs on the awake clock. @param pingMs 0: never */
  checkSilence(nowMs: number, pingMs: number): void {
    if (!this.isOpen || this.#count === 0) return;
    const what = this.#silence.check(nowMs, pingMs);
    if (what === 'asks') this.output.ping(false, PING_DATA, 0);
    else if (what === 'is dead') this.#failAll('ERR_BACKEND_CLOSED', silentPing(pingMs));
  }

  /** There will be nothing more for any of its streams. @param code of those that have no answer */
  #failAll(code: ErrorCode, detail: string): void {
    const streams = [...this.#streams.values()];
    const waiting = this.#waiting.takeAll();
    this.close();
    for (const stream of streams) {
      stream.cutOff();
      told(stream, () => stream.failed(stream.lostCode(code), detail));
    }
    failWaiting(waiting, code, detail);
  }

  #sayGoodbye(code: number, detail: string): void {
    if (this.#state === IS_CONNECTING || this.turns.isOver) return;
    // We take no streams of the peer's: the last of them is 0.
    this.output.goaway(0, code, detail);
    this.output.writeNow();
    this.turns.isOver = true;
  }

  /** Its streams have been told, or there are none. */
  close(): void {
    if (this.isClosed) return;
    this.#sayGoodbye(NO_ERROR, '');
    this.#state = IS_CLOSED;
    this.turns.isOver = true;
    this.#frames.stop();
    if (this.idleSinceMs !== -1) this.backend.counters.idleChanged(-1);
    this.idleSinceMs = -1;
    this.#siblings.onClosed(this);
    this.connection.destroy();
  }
}
