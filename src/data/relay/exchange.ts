/**
 * One request and its response, from the parsed head to the log line: the attempts, and what happens when one fails.
 *
 * It owns all that must not leak: attempt, connection, upload, download. However it ends, `#settle` runs exactly once.
 */
import { performance } from 'node:perf_hooks';
import { ERRORS, type ErrorCode } from '../../errors.ts';
import type { Backend } from '../backend/backend.ts';
import type { DataContext } from '../context.ts';
import type { View } from '../view.ts';
import type { AttemptRecord } from './access-log.ts';
import { type Attempt, type AttemptOwner, startAttempt } from './attempt.ts';
import type { ExchangeClient } from './exchange-client.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { recordExchange } from './ledger.ts';
import { connectionLine, errorAnswer, optionsAnswer } from './own-answers.ts';
import { mayRetry } from './retry-rules.ts';
import { Tunnel, type TunnelOwner } from './tunnel.ts';
import { createUpload, type Upload } from './upload.ts';

/** A chunked body gathers before anything is sent. */
const IS_HOLDING = 0;
const IS_CONNECTING = 1;
/** The request is on its way; no final response head yet. */
const IS_SENDING = 2;
const IS_RESPONDING = 3;
const IS_TUNNEL = 4;
const IS_OVER = 5;

/** How long a chunked body may gather before it is sent on unchecked: see Upload.mayStart. */
const HOLD_MS = 100;
const SWITCHING_PROTOCOLS = 101;

export class Exchange implements AttemptOwner, TunnelOwner {
  readonly context: DataContext;
  readonly isHead: boolean;
  readonly clientVersionMinor: number;

  readonly #client: ExchangeClient;
  readonly #request: IncomingRequest;
  readonly #upload: Upload | null;
  readonly #startedAt: number;
  readonly #bytesOutAtStart: number;
  /** The view of the current attempt: a retry runs on what is in force by then. */
  #view: View;
  #phase = IS_HOLDING;
  #attempt: Attempt | null = null;
  #tunnel: Tunnel | null = null;
  /** The backend of the last attempt, for the counters and the log. */
  #backend: Backend | null = null;
  #attempts: readonly AttemptRecord[] = [];
  #tried: Backend[] | null = null;
  /** An idle connection turned out dead: the next attempt gets a new one. */
  #needsFresh = false;
  #lastDetail = '';
  #connectMs = -1;
  #firstByteMs = -1;
  /** Of the last attempt: an exchange that had one ends with it. 0 before. */
  #endedAt = 0;
  #status = 0;
  #closesClient = false;
  /** Bytes of the final response went to the client: it can't be taken back. */
  #hasSentHead = false;
  #lastUnsentBytes = 0;

  constructor(context: DataContext, client: ExchangeClient, request: IncomingRequest) {
    const { facts } = request;
    this.context = context;
    this.isHead = facts.method === 'HEAD';
    this.clientVersionMinor = facts.versionMinor;
    this.#client = client;
    this.#request = request;
    this.#view = context.view;
    this.#upload = createUpload(facts, context.view);
    this.#startedAt = performance.now();
    this.#bytesOutAtStart = client.bytesOut;
  }

  /** Bytes that come now are this exchange's; all others wait for the next one. */
  get wantsClientBytes(): boolean {
    if (this.#phase === IS_TUNNEL) return true;
    return this.#phase !== IS_OVER && this.isUploadOpen;
  }

  get #isUploading(): boolean {
    return this.#upload !== null && !this.#upload.isSent;
  }

  /** More of the request's body is to come. */
  get isUploadOpen(): boolean {
    return this.#upload !== null && !this.#upload.isComplete;
  }

  /**
   * Starts the exchange with the bytes behind its head: a small body leaves together with the head.
   * @returns the offset of the first byte in `buffer[start, end)` that was not taken.
   */
  begin(buffer: Buffer, start: number, end: number): number {
    const { facts } = this.#request;
    const { bodyBytes } = this.#view.snapshot.limits;
    if (bodyBytes !== 0 && facts.contentLength > bodyBytes) {
      this.#fail('ERR_BODY_TOO_LARGE', `${facts.contentLength} bytes announced`);
    } else if (facts.maxForwards === 0 && facts.method === 'OPTIONS') {
      this.#answerOptions();
    } else if (this.#upload === null || facts.expectsContinue) {
      this.#startAttempt();
    } else {
      // The coarse clock may be a tick behind: by it, the body would be held for anything from nothing to HOLD_MS.
      this.#client.deadlineMs = performance.now() + HOLD_MS;
      return this.onClientBytes(buffer, start, end);
    }
    return start;
  }

  // ── What the client does ────────────────────────────────────────────────────────────────────────────────────────

  /** @returns the offset of the first byte in `buffer[start, end)` that is not this exchange's. */
  onClientBytes(buffer: Buffer, start: number, end: number): number {
    if (this.#tunnel !== null) {
      this.#tunnel.fromClient(buffer, start, end);
      return end;
    }
    const upload = this.#upload;
    if (upload === null) return start;
    const consumed = upload.receive(buffer, start, end);
    if (upload.error !== null) this.#fail(upload.error, `after ${upload.bytesIn} bytes of body`);
    else if (this.#phase >= IS_SENDING) this.#pumpUpload();
    else if (this.#phase === IS_HOLDING && upload.mayStart) this.#startAttempt();
    else if (upload.isHeldFull) this.#client.pause();
    upload.hold();
    return consumed;
  }

  onClientDrain(): void {
    this.#touch();
    if (this.#tunnel !== null) this.#tunnel.clientDrained();
    else this.#attempt?.resume();
  }

  /** The client closed, or its connection broke, or `code` says why we cut it. */
  onClientGone(detail: string, code: ErrorCode = 'ERR_CLIENT_GONE'): void {
    if (this.#phase === IS_OVER) return;
    this.#endAttempt(code, false);
    if (this.#phase === IS_TUNNEL) this.#settle(SWITCHING_PROTOCOLS, null, '');
    else this.#settle(ERRORS[code].status, code, detail);
  }

  /** The client sent FIN. In a tunnel that ends one direction; everywhere else it means that the client has left. */
  onClientEnd(): void {
    if (this.#tunnel !== null) {
      this.#tunnel.clientEnded();
      return;
    }
    this.onClientGone('the client closed the connection');
    this.#client.reset();
  }

  onDeadline(): void {
    const { timeouts } = this.#view.snapshot;
    switch (this.#phase) {
      case IS_HOLDING:
        this.#startAttempt();
        break;
      case IS_CONNECTING: {
        const { authority } = (this.#attempt as Attempt).backend.spec;
        this.#attempt?.onBackendConnectFailed(
          'ERR_BACKEND_CONNECT_TIMEOUT',
          `no connection to ${authority} within ${timeouts.connectMs} ms`,
        );
        break;
      }
      case IS_SENDING:
        if (this.#isWaitingForClient) this.#failSilentClient();
        else {
          const detail = this.#isUploading
            ? `the backend took no more of the body for ${timeouts.idleMs} ms`
            : `no response head within ${timeouts.responseMs} ms`;
          this.onAttemptFailed('ERR_BACKEND_RESPONSE_TIMEOUT', detail);
        }
        break;
      case IS_RESPONDING:
        this.#onBodySilence(timeouts.idleMs);
        break;
      case IS_TUNNEL:
        this.onTunnelOver();
        break;
      default:
    }
  }

  /** The client owes the rest of its body, and the backend would take it. */
  get #isWaitingForClient(): boolean {
    return this.isUploadOpen && this.#attempt?.needsDrain === false;
  }

  #failSilentClient(): void {
    const { idleMs } = this.#view.snapshot.timeouts;
    this.#fail('ERR_BODY_TIMEOUT', `no byte of the body for ${idleMs} ms`);
  }

  #onBodySilence(idleMs: number): void {
    const client = this.#client;
    // A slow reader is no dead one: part of what waits may have left without a drain event.
    const unsent = client.needsDrain ? client.unsentBytes : 0;
    if (unsent !== this.#lastUnsentBytes) {
      this.#lastUnsentBytes = unsent;
      this.#touch();
    } else if (client.needsDrain) {
      this.#fail('ERR_CLIENT_TIMEOUT', `nothing read for ${idleMs} ms`);
    } else if (this.#isWaitingForClient) {
      this.#failSilentClient();
    } else {
      this.onAttemptFailed('ERR_BACKEND_BODY_TIMEOUT', `no byte of the body for ${idleMs} ms`);
    }
  }

  // ── Attempts ────────────────────────────────────────────────────────────────────────────────────────────────────

  #startAttempt(): void {
    const { view } = this.context;
    const attempt = startAttempt(
      this,
      view,
      this.#request.clientAddress,
      this.#tried,
      this.#needsFresh,
      this.#attempts.length === 0 ? this.#startedAt : performance.now(),
    );
    if (typeof attempt === 'string') {
      // The last failure is the best explanation.
      const last = this.#attempts.at(-1);
      if (last !== undefined) this.#fail(last.outcome as ErrorCode, this.#lastDetail);
      else this.#fail(attempt, `the pool has ${view.backends.size} backends`);
      return;
    }
    this.#view = view;
    this.#attempt = attempt;
    this.#backend = attempt.backend;
    if (attempt.isReused) {
      this.#send(attempt);
    } else {
      this.#phase = IS_CONNECTING;
      this.#client.deadlineMs = this.context.nowMs + view.snapshot.timeouts.connectMs;
      if (this.#upload?.isHeldFull === true) this.#client.pause();
    }
  }

  onAttemptConnected(): void {
    const attempt = this.#attempt as Attempt;
    this.#connectMs = attempt.connectMs;
    this.#send(attempt);
  }

  #send(attempt: Attempt): void {
    this.#phase = IS_SENDING;
    attempt.send(this.#request, this.#upload);
    if (this.#upload === null) this.#touch();
    else this.#pumpUpload();
  }

  #pumpUpload(): void {
    const attempt = this.#attempt as Attempt;
    const upload = this.#upload as Upload;
    attempt.sendMore(upload);
    this.#touch();
    if (attempt.needsDrain || upload.isHeldFull) this.#client.pause();
    else this.#client.resume();
  }

  onUploadRoom(): void {
    if (this.#upload !== null) this.#pumpUpload();
  }

  /** Silence is measured from here on. What counts as silence depends on who has to move next. */
  #touch(): void {
    const { timeouts } = this.#view.snapshot;
    let silenceMs = timeouts.idleMs;
    if (this.#phase === IS_SENDING && !this.#isUploading) silenceMs = timeouts.responseMs;
    else if (this.#phase === IS_TUNNEL) silenceMs = timeouts.tunnelMs;
    else if (this.#phase < IS_SENDING) return;
    this.#client.deadlineMs = this.context.nowMs + silenceMs;
  }

  /** The attempt failed; another one may save the exchange. */
  onAttemptFailed(code: ErrorCode, detail: string): void {
    const { backend, hasResponse, isReused } = this.#attempt as Attempt;
    this.#lastDetail = detail;
    this.#endAttempt(code, false);
    const isRetried = mayRetry({
      code,
      method: this.#request.facts.method,
      attempts: this.#attempts.length,
      hasResponse,
      isReplayable: this.#upload === null || this.#upload.isReplayable,
    });
    if (!isRetried) {
      this.#fail(code, detail);
      return;
    }
    this.#upload?.rewind();
    // A connection that had grown old says nothing about its backend: a fresh one to the same backend is fine.
    if (isReused) this.#needsFresh = true;
    else this.#tried = [...(this.#tried ?? []), backend];
    this.#startAttempt();
    if (this.#attempt !== null) backend.counters.attemptRetried();
  }

  #endAttempt(failure: ErrorCode | null, mayReuse: boolean): void {
    const attempt = this.#attempt;
    if (attempt === null) return;
    this.#attempt = null;
    this.#endedAt = performance.now();
    const record = attempt.end(failure, mayReuse, this.#endedAt);
    this.#attempts = this.#attempts.length === 0 ? [record] : [...this.#attempts, record];
  }

  // ── What the response does ──────────────────────────────────────────────────────────────────────────────────────

  get mayUpgrade(): boolean {
    return this.#request.facts.upgradesToWebSocket;
  }

  get isClientFull(): boolean {
    return this.#client.needsDrain;
  }

  onInterim(): void {
    this.#touch();
  }

  onResponseHead(status: number): void {
    const now = performance.now();
    const { backend, sentAt } = this.#attempt as Attempt;
    backend.counters.responseHeadAfter(now - sentAt);
    this.#firstByteMs = now - this.#startedAt;
    this.#status = status;
    this.#phase = IS_RESPONDING;
  }

  decideConnection(bodyNeedsClose: boolean): string {
    // Where the client's next request begins is not known before its body has ended.
    this.#closesClient = bodyNeedsClose || this.#mustClose;
    return connectionLine(this.#closesClient, this.clientVersionMinor === 0);
  }

  get #mustClose(): boolean {
    return !this.#request.facts.mayPersist || this.context.isDraining || this.isUploadOpen;
  }

  sendText(text: string): void {
    this.#noteSent();
    this.#client.sendText(text);
  }

  sendBytes(buffer: Buffer, start: number, end: number): void {
    this.#noteSent();
    this.#client.sendBytes(buffer, start, end);
  }

  #noteSent(): void {
    if (this.#phase !== IS_RESPONDING) return;
    this.#hasSentHead = true;
    this.#touch();
  }

  onResponseComplete(): void {
    this.#endAttempt(null, !this.#isUploading && !this.context.isDraining);
    const closes = this.#closesClient;
    this.#settle(this.#status, null, '');
    this.#client.exchangeDone(closes);
  }

  onSwitched(rest: Buffer): void {
    const attempt = this.#attempt as Attempt;
    this.#firstByteMs = performance.now() - this.#startedAt;
    this.#status = SWITCHING_PROTOCOLS;
    this.#phase = IS_TUNNEL;
    this.#tunnel = new Tunnel(this, this.#client, attempt.giveConnection());
    this.#touch();
    this.#client.resume();
    this.#tunnel.fromBackend(rest, rest.length);
    // What the client sent ahead of the 101 has waited for it.
    const early = this.#client.takeInput();
    if (early !== null) this.#tunnel.fromClient(early, 0, early.length);
  }

  onTunnelBytes(): void {
    this.#touch();
  }

  onTunnelOver(): void {
    this.#endAttempt(null, false);
    this.#settle(SWITCHING_PROTOCOLS, null, '');
    this.#client.exchangeDone(true);
  }

  onTunnelBroken(detail: string): void {
    this.#fail('ERR_BACKEND_TRUNCATED', detail);
  }

  // ── Endings ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The exchange failed for good: answered if nothing was sent yet, else cut so that nobody takes it for complete. */
  #fail(code: ErrorCode, detail: string): void {
    this.#endAttempt(code, false);
    const client = this.#client;
    if (this.#hasSentHead || this.#phase === IS_TUNNEL) {
      this.#settle(this.#status, code, detail);
      client.reset();
      return;
    }
    const closes = this.#mustClose;
    client.sendText(
      errorAnswer(code, {
        wantsJson: this.#request.facts.wantsJson,
        isHead: this.isHead,
        closes,
        keepsAlive10: this.clientVersionMinor === 0,
        requestId: this.#request.requestId,
      }),
    );
    this.#settle(ERRORS[code].status, code, detail);
    client.exchangeDone(closes);
  }

  #answerOptions(): void {
    const closes = this.#mustClose;
    this.#client.sendText(optionsAnswer(closes, this.clientVersionMinor === 0));
    this.#settle(204, null, '');
    this.#client.exchangeDone(closes);
  }

  /** The one place where an exchange ends. */
  #settle(status: number, error: ErrorCode | null, errorDetail: string): void {
    if (this.#phase === IS_OVER) return;
    this.#phase = IS_OVER;
    const bodyBytes = (this.#upload?.bytesIn ?? 0) + (this.#tunnel?.bytesIn ?? 0);
    recordExchange(this.context, this.#view, this.#backend, this.#request, {
      status,
      bytesIn: this.#request.headBytes + bodyBytes,
      bytesOut: this.#client.bytesOut - this.#bytesOutAtStart,
      durationMs: (this.#endedAt || performance.now()) - this.#startedAt,
      connectMs: this.#connectMs,
      firstByteMs: this.#firstByteMs,
      attempts: this.#attempts,
      error,
      errorDetail,
    });
  }
}
