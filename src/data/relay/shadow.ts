/** The exchange of a mirrored request, and its client: one that takes all of the answer, and keeps nothing. */
import type { DataContext } from './context.ts';
import { Exchange } from './exchange.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { Shadow } from './mirrors.ts';
import type { Responder } from './responder.ts';
import type { TunnelClient } from './tunnel.ts';

/** An answer that goes on past this is cut. */
const MOST_ANSWER_BYTES = 1024 * 1024;

export class ShadowExchange implements Responder, Shadow {
  readonly isTls = false;
  bytesOut = 0;
  isCommitted = false;

  readonly #context: DataContext;
  readonly #exchange: Exchange;
  readonly #onOver: () => void;
  #deadlineMs = Number.POSITIVE_INFINITY;

  /** @param onOver may be called more than once. */
  constructor(context: DataContext, request: IncomingRequest, onOver: () => void) {
    this.#context = context;
    this.#onOver = onOver;
    this.#exchange = new Exchange(context, this, request);
  }

  begin(body: Buffer, trailers: string): void {
    const exchange = this.#exchange;
    exchange.begin();
    if (exchange.isUploadOpen) {
      exchange.upload?.take(body, 0, body.length);
      exchange.upload?.complete(trailers);
    }
    exchange.onBodyFlush();
  }

  /** One that has got too much is cut at the next tick: nothing more is read until then. */
  get deadlineMs(): number {
    return this.needsDrain ? 0 : this.#deadlineMs;
  }

  set deadlineMs(atMs: number) {
    this.#deadlineMs = atMs;
  }

  onDeadline(): void {
    if (this.needsDrain) this.cut();
    else this.#exchange.onDeadline();
  }

  cut(): void {
    this.#exchange.onClientGone('the answer to a copy is not waited for any longer');
    this.#onOver();
  }

  onCrashed(error: unknown): void {
    this.#context.barrier.crashed('a mirrored request', error);
    this.#exchange.giveUp();
    this.#onOver();
  }

  // ── What its exchange says ──────────────────────────────────────────────────────────────────────────────────────────

  get needsDrain(): boolean {
    return this.bytesOut > MOST_ANSWER_BYTES;
  }

  sendInterim(): boolean {
    return false;
  }

  sendHead(): void {
    this.isCommitted = true;
  }

  sendBody(_buffer: Buffer, start: number, end: number): void {
    this.bytesOut += end - start;
  }

  flush(): boolean {
    return true;
  }

  end(): null {
    return null;
  }

  ownAnswer(): null {
    return null;
  }

  startTunnel(): TunnelClient {
    throw new Error('a mirrored request switches no protocols');
  }

  hasRead(): boolean {
    return false;
  }

  pause(): void {}

  resume(): void {}

  takeInput(): null {
    return null;
  }

  reset(): void {
    this.#onOver();
  }

  exchangeDone(): void {
    this.#onOver();
  }
}
