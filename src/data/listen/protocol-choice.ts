/**
 * A connection in the clear whose client may begin with HTTP/2 (RFC 9113 §3.3, "prior knowledge"): its first bytes say which of the two
 * it speaks, and from then on it is that.
 */
import type { ErrorCode } from '../../errors.ts';
import { letGo } from '../barrier.ts';
import type { DataContext } from '../relay/context.ts';
import type { ByteStream, StreamUser } from '../stream/byte-stream.ts';
import { matchPreface, PREFACE_PART, PREFACE_YES } from '../wire/http2/preface.ts';
import { ClientConnection } from './client-connection.ts';
import type { Carried } from './connection-context.ts';
import { DRAIN_IDLE_MS, leavesAtMs } from './drain-turns.ts';
import { Http2Connection } from './http2-connection.ts';
import type { OpenClient } from './open-client.ts';
import { PendingInput } from './pending-input.ts';

export class ProtocolChoice implements OpenClient {
  readonly #context: DataContext;
  readonly #stream: ByteStream;
  readonly #carried: Carried;
  readonly #onClosed: (connection: ProtocolChoice) => void;
  /** Null: nobody knows yet. */
  #chosen: OpenClient | null = null;
  /** What it has said so far. */
  #input: PendingInput | null = null;
  /** Of its first head, whatever it speaks. */
  #deadlineMs: number;
  #isLeaving = false;
  #isClosed = false;

  constructor(
    context: DataContext,
    open: (user: StreamUser) => ByteStream,
    carried: Carried,
    onClosed: (connection: ProtocolChoice) => void,
  ) {
    this.#context = context;
    this.#carried = carried;
    this.#onClosed = onClosed;
    this.#deadlineMs = context.nowMs + context.view.snapshot.timeouts.headMs;
    this.#stream = open(this);
  }

  onBytes(buffer: Buffer, length: number): void {
    if (this.#chosen !== null) {
      this.#chosen.onBytes(buffer, length);
      return;
    }
    if (this.#isClosed) return;
    if (this.#input === null) {
      this.#choose(buffer, length);
    } else {
      this.#input.append(buffer, 0, length);
      this.#choose(this.#input.buffer, this.#input.length);
    }
  }

  #choose(buffer: Buffer, length: number): void {
    const match = matchPreface(buffer, 0, length);
    if (match === PREFACE_PART) {
      this.#input = PendingInput.of(buffer, 0, length, this.#input);
      this.#stream.rest();
      return;
    }
    this.#input = null;
    const chosen = match === PREFACE_YES ? this.#speakHttp2() : this.#speakHttp1();
    chosen.onBytes(buffer, length);
  }

  #speakHttp2(): OpenClient {
    const [open, onClosed] = [() => this.#stream, () => this.#close()];
    return this.#become(new Http2Connection(this.#context, open, this.#carried, onClosed));
  }

  #speakHttp1(): OpenClient {
    const [open, onClosed] = [() => this.#stream, () => this.#close()];
    const chosen = new ClientConnection(this.#context, open, this.#carried, onClosed);
    chosen.deadlineMs = this.#deadlineMs;
    return this.#become(chosen);
  }

  #become(chosen: OpenClient): OpenClient {
    this.#chosen = chosen;
    if (this.#isLeaving) chosen.beginDrain();
    return chosen;
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClosed(this);
  }

  #destroy(): void {
    this.#stream.destroy();
    this.#close();
  }

  // ── What the listener uses ──────────────────────────────────────────────────────────────────────────────────────

  get deadlineMs(): number {
    return this.#chosen === null ? this.#deadlineMs : this.#chosen.deadlineMs;
  }

  onDeadline(): void {
    this.#tellBegun();
    const chosen = this.#chosen;
    if (chosen === null) this.#destroy();
    else if (chosen.deadlineMs <= this.#context.nowMs) chosen.onDeadline();
  }

  /** What has begun, and could have become a preface, has to be taken for the head of a request. */
  #tellBegun(): void {
    const input = this.#input;
    if (input === null) return;
    this.#input = null;
    this.#speakHttp1().onBytes(input.buffer, input.length);
  }

  get isPaused(): boolean {
    return this.#chosen?.isPaused === true;
  }

  look(nowMs: number): void {
    this.#chosen?.look(nowMs);
  }

  get hasServed(): boolean {
    return this.#chosen?.hasServed === true;
  }

  get idleSinceMs(): number {
    if (this.#chosen !== null) return this.#chosen.idleSinceMs;
    return this.#deadlineMs - this.#context.view.snapshot.timeouts.headMs;
  }

  makeRoom(): boolean {
    if (this.#chosen !== null) return this.#chosen.makeRoom();
    this.#destroy();
    return true;
  }

  refuse(code: ErrorCode, bytes: Buffer, detail?: string): void {
    (this.#chosen ?? this.#speakHttp1()).refuse(code, bytes, detail);
  }

  beginDrain(idleMs: number = DRAIN_IDLE_MS): boolean {
    if (this.#chosen !== null) return this.#chosen.beginDrain(idleMs);
    this.#deadlineMs = Math.min(this.#deadlineMs, leavesAtMs(this, this.#context.nowMs + idleMs));
    this.#isLeaving = true;
    return true;
  }

  get heldBytes(): number {
    if (this.#chosen !== null) return this.#chosen.heldBytes;
    return this.#stream.heldBytes + (this.#input === null ? 0 : this.#input.buffer.length);
  }

  cutForMemory(): void {
    if (this.#chosen === null) this.#destroy();
    else this.#chosen.cutForMemory();
  }

  abandon(code: ErrorCode, detail: string): boolean {
    this.#tellBegun();
    if (this.#chosen !== null) return this.#chosen.abandon(code, detail);
    this.#destroy();
    return false;
  }

  // ── What the socket says ────────────────────────────────────────────────────────────────────────────────────────

  onEnd(): void {
    if (this.#chosen === null) this.#destroy();
    else this.#chosen.onEnd();
  }

  onDrain(): void {
    this.#chosen?.onDrain();
  }

  onWriteFailed(detail: string): void {
    this.onClosed(detail);
  }

  onClosed(detail: string): void {
    if (this.#chosen === null) this.#destroy();
    else this.#chosen.onClosed(detail);
  }

  onCrashed(error: unknown): void {
    if (this.#chosen !== null) {
      this.#chosen.onCrashed(error);
      return;
    }
    this.#context.barrier.connectionCrashed(error);
    letGo(() => this.#stream.reset());
    letGo(() => this.#close());
  }
}
