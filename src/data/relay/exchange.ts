/**
 * One request and its response, from the parsed head to the log line: the attempts, and what happens when one fails.
 *
 * It owns all that must not leak: attempt, connection, upload, download. However it ends, `#settle` runs exactly once.
 */
import { performance } from 'node:perf_hooks';
import { ERRORS, type ErrorCode } from '../../errors.ts';
import { type Ending, endingOf } from '../../snapshot/endings.ts';
import type { ObservedBody } from '../balance/stickiness.ts';
import { letGo } from '../barrier.ts';
import type { DataContext } from '../context.ts';
import type { View } from '../view.ts';
import type { ResponseHead } from '../wire/head.ts';
import { NOTHING_SENT } from './access-log.ts';
import { refusal } from './admission.ts';
import type { Attempt } from './attempt.ts';
import { Attempts, type AttemptsOwner } from './attempts.ts';
import type { ExchangeClient } from './exchange-client.ts';
import { Phase } from './exchange-phases.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { LASTING_MS } from './judgement.ts';
import { recordExchange } from './ledger.ts';
import { connectionLine, failureAnswer, optionsAnswer } from './own-answers.ts';
import { responseLimitMs, silentBackend, silentClient, unfinished } from './silence.ts';
import { SWITCHING_PROTOCOLS, Tunnel, type TunnelOwner } from './tunnel.ts';
import { createUpload, HOLD_MS, type Upload } from './upload.ts';

export class Exchange implements AttemptsOwner, TunnelOwner {
  readonly context: DataContext;
  readonly clientVersionMinor: number;

  readonly #client: ExchangeClient;
  readonly #request: IncomingRequest;
  readonly #upload: Upload | null;
  /** On the precise clock, for the log; and on the awake one, for the deadline of the whole. */
  readonly #startedAt: number;
  readonly #awakeSince: number;
  readonly #bytesOutAtStart: number;
  readonly #attempts: Attempts;
  #phase: Phase = Phase.HOLDING;
  #tunnel: Tunnel | null = null;
  #firstByteMs = -1;
  #status = 0;
  #closesClient = false;
  /** Bytes of the final response went to the client: it can't be taken back. */
  #hasSentHead = false;
  #lastUnsentBytes = 0;

  constructor(context: DataContext, client: ExchangeClient, request: IncomingRequest) {
    const { facts } = request;
    this.context = context;
    this.clientVersionMinor = facts.versionMinor;
    this.#client = client;
    this.#request = request;
    this.#startedAt = performance.now();
    this.#awakeSince = context.deadlines.at(this.#startedAt);
    this.#attempts = new Attempts(this, request, context.view, this.#startedAt);
    this.#upload = createUpload(facts, context.view);
    this.#bytesOutAtStart = client.bytesOut;
  }

  /** Bytes that come now are this exchange's; all others wait for the next one. */
  get wantsClientBytes(): boolean {
    return this.#phase === Phase.TUNNEL || (this.#phase !== Phase.OVER && this.isUploadOpen);
  }

  get #view(): View {
    return this.#attempts.view;
  }

  get #attempt(): Attempt | null {
    return this.#attempts.current;
  }

  get heldBytes(): number {
    return (this.#upload?.keptBytes ?? 0) + (this.#attempt?.heldBytes ?? 0);
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
    const refused = refusal(this.context, this.#request);
    if (refused !== null) {
      this.fail(refused.code, refused.detail, refused.fields);
    } else if (facts.maxForwards === 0 && facts.method === 'OPTIONS') {
      this.#answerOptions();
    } else if (this.#upload === null || facts.expectsContinue) {
      this.#attempts.start();
    } else {
      // The coarse clock may be a tick ahead: by it, the body would be held for up to twice as long.
      this.#setDeadline(this.context.deadlines.now() + HOLD_MS);
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
    if (upload.error !== null) this.fail(upload.error, `after ${upload.bytesIn} bytes of body`);
    else if (this.#phase >= Phase.SENDING) this.#pumpUpload();
    else if (this.#phase === Phase.HOLDING && upload.mayStart) this.#attempts.start();
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
    if (this.#phase === Phase.OVER) return;
    this.#attempts.end(code, false);
    if (this.#tunnel === null || code !== 'ERR_CLIENT_GONE') this.#breakOff(code, detail);
    // No error: many tunnels end like this.
    else this.#settle(this.#status, null, '', this.#tunnel.isClosing ? 'drain' : 'client_gone');
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
    const { snapshot } = this.#view;
    if (this.#client.deadlineMs >= this.totalDeadlineMs) {
      this.fail('ERR_TOTAL_TIMEOUT', unfinished(snapshot));
      return;
    }
    switch (this.#phase) {
      case Phase.HOLDING:
        this.#attempts.start();
        break;
      case Phase.WAITING:
        this.#attempts.waitedTooLong();
        break;
      case Phase.CONNECTING:
        (this.#attempt as Attempt).connectedTooLate();
        break;
      case Phase.SENDING:
        if (this.#isWaitingForClient) {
          this.fail('ERR_BODY_TIMEOUT', silentClient(this.#view.snapshot));
        } else {
          const { code, detail } = silentBackend(snapshot, this.#upload);
          this.onAttemptFailed(code, detail);
        }
        break;
      case Phase.RESPONDING:
        this.#onBodySilence(snapshot.timeouts.idleMs);
        break;
      case Phase.TUNNEL:
        this.#onTunnelSilence(snapshot.timeouts.tunnelMs);
        break;
      default:
    }
  }

  /** The client owes the rest of its body, and the backend would take it. */
  get #isWaitingForClient(): boolean {
    const isOwed = this.#upload?.isUnderWay === true && this.isUploadOpen;
    return isOwed && this.#attempt?.needsDrain === false;
  }

  #onBodySilence(idleMs: number): void {
    const client = this.#client;
    // A slow reader is no dead one: part of what waits may have left without a drain event.
    const unsent = client.needsDrain ? client.unsentBytes : 0;
    if (unsent !== this.#lastUnsentBytes) {
      this.#lastUnsentBytes = unsent;
      this.#touch();
    } else if (client.needsDrain) {
      this.fail('ERR_CLIENT_TIMEOUT', `nothing read for ${idleMs} ms (timeouts.idle)`);
    } else if (this.#isWaitingForClient) {
      this.fail('ERR_BODY_TIMEOUT', silentClient(this.#view.snapshot));
    } else {
      this.onAttemptFailed('ERR_BACKEND_BODY_TIMEOUT', silentClient(this.#view.snapshot));
    }
  }

  // ── Attempts ────────────────────────────────────────────────────────────────────────────────────────────────────

  onAttemptBegun(): void {
    const attempt = this.#attempt as Attempt;
    if (attempt.isSent) {
      this.#phase = Phase.SENDING;
      this.#touch();
    } else if (attempt.isReused) {
      this.#send(attempt);
    } else {
      this.#phase = Phase.CONNECTING;
      this.#setDeadline(this.context.nowMs + this.#view.snapshot.timeouts.connectMs);
      if (this.#upload?.isHeldFull === true) this.#client.pause();
    }
  }

  onAttemptWaits(limitMs: number): void {
    this.#phase = Phase.WAITING;
    this.#setDeadline(this.context.nowMs + limitMs);
    if (this.#upload?.isHeldFull === true) this.#client.pause();
  }

  onAttemptConnected(): void {
    this.#send(this.#attempt as Attempt);
  }

  #send(attempt: Attempt): void {
    this.#phase = Phase.SENDING;
    if (this.#attempts.records.length > 0) this.#upload?.rewind();
    attempt.send(this.#request, this.#upload);
    if (this.#upload !== null) {
      this.#pumpUpload();
      return;
    }
    this.#touch();
    this.#attempts.sent();
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
    if (this.#phase < Phase.SENDING) return;
    const attempt = this.#attempt as Attempt;
    const { snapshot } = this.#view;
    if (this.#phase === Phase.SENDING && this.#upload?.isUnderWay !== true) {
      this.#setDeadline(attempt.silentSince + responseLimitMs(snapshot, this.#upload));
    } else {
      const { idleMs, tunnelMs } = snapshot.timeouts;
      const inTunnelMs = attempt.judgement.isJudged ? tunnelMs : Math.min(tunnelMs, LASTING_MS);
      const limitMs = this.#phase === Phase.TUNNEL ? inTunnelMs : idleMs;
      this.#setDeadline(this.context.nowMs + limitMs);
    }
  }

  #setDeadline(deadlineMs: number): void {
    this.#client.deadlineMs = Math.min(deadlineMs, this.totalDeadlineMs);
  }

  /** A tunnel may last: it is done when its 101 is. */
  get totalDeadlineMs(): number {
    const { totalMs } = this.#view.snapshot.timeouts;
    const hasNone = totalMs === 0 || this.#phase === Phase.TUNNEL;
    return hasNone ? Number.POSITIVE_INFINITY : this.#awakeSince + totalMs;
  }

  /** The attempt failed; another one may save the exchange. */
  onAttemptFailed(code: ErrorCode, detail: string): void {
    this.#attempts.fail(code, detail, this.#upload?.isReplayable ?? true);
  }

  // ── What the response does ──────────────────────────────────────────────────────────────────────────────────────

  get isRequestSent(): boolean {
    return this.#upload?.isSent !== false;
  }

  get isClientFull(): boolean {
    return this.#client.needsDrain;
  }

  onInterim(status: number): void {
    this.#attempts.hasInterim = true;
    (this.#attempt as Attempt).interimCame(performance.now());
    if (this.#upload !== null && status === 100) this.#upload.isKeptBack = false;
    this.#touch();
  }

  onResponseHead(status: number): void {
    const now = performance.now();
    (this.#attempt as Attempt).headCame(status, now);
    this.#firstByteMs = now - this.#startedAt;
    this.#status = status;
    this.#phase = Phase.RESPONDING;
    this.#attempts.answered();
  }

  refuses(status: number): boolean {
    return status >= 400 && this.#attempts.mayRefuse(status, this.#upload?.isRepeatable ?? true);
  }

  addedFields(head: ResponseHead, body: ObservedBody): string {
    return this.#attempts.addedFields(head, body, this.#client.isTls);
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
    if (this.#phase !== Phase.RESPONDING) return;
    this.#hasSentHead = true;
    this.#touch();
  }

  onResponseComplete(): void {
    this.#attempts.end(null, this.isRequestSent && !this.context.isDraining);
    this.#settle(this.#status, null, '', null);
    this.#client.exchangeDone(this.#closesClient);
  }

  onSwitched(rest: Buffer, isWebSocket: boolean): void {
    const attempt = this.#attempt as Attempt;
    this.onResponseHead(SWITCHING_PROTOCOLS);
    this.#phase = Phase.TUNNEL;
    this.#hasSentHead = true;
    this.#tunnel = new Tunnel(this, this.#client, attempt.giveConnection(), isWebSocket);
    this.#touch();
    this.#client.resume();
    this.#tunnel.fromBackend(rest, rest.length);
    // What the client sent ahead of the 101 has waited for it.
    const early = this.#client.takeInput();
    if (early !== null) this.#tunnel.fromClient(early, 0, early.length);
  }

  onTunnelBytes(): void {
    this.#attempt?.judgement.goesOn(this.context.nowMs);
    this.#touch();
  }

  #onTunnelSilence(tunnelMs: number): void {
    const attempt = this.#attempt as Attempt;
    if (attempt.judgement.isJudged || tunnelMs <= LASTING_MS) {
      this.onTunnelOver('idle');
      return;
    }
    attempt.judgement.countAsGood();
    this.#setDeadline(this.context.nowMs + tunnelMs - LASTING_MS);
  }

  onTunnelOver(ended: Ending | null): void {
    this.#attempts.end(null, false);
    this.#settle(SWITCHING_PROTOCOLS, null, '', ended);
    this.#client.exchangeDone(true);
  }

  onTunnelBroken(detail: string): void {
    this.fail('ERR_BACKEND_TRUNCATED', detail);
  }

  // ── Endings ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The exchange failed for good: answered if nothing was sent yet, else cut so that nobody takes it for complete. */
  fail(code: ErrorCode, detail: string, fields = ''): void {
    this.#attempts.end(code, false);
    if (this.#hasSentHead) {
      this.#breakOff(code, detail);
      this.#client.reset();
      return;
    }
    const closes = this.#mustClose;
    this.#client.sendText(failureAnswer(code, this.#request, closes, fields));
    this.#settle(ERRORS[code].status, code, detail, null);
    this.#client.exchangeDone(closes);
  }

  onCrashed(error: unknown): void {
    this.#client.onCrashed(error);
  }

  /** The client's connection has crashed: what this holds is given back, whatever state it is in. */
  giveUp(): void {
    this.#attempts.giveUp();
    letGo(() => this.#tunnel?.settle());
    letGo(() => this.#breakOff('ERR_INTERNAL', ''));
  }

  #answerOptions(): void {
    const closes = this.#mustClose;
    this.#client.sendText(optionsAnswer(closes, this.clientVersionMinor === 0));
    this.#settle(204, null, '', null);
    this.#client.exchangeDone(closes);
  }

  /** The client does not get all of an answer. */
  #breakOff(code: ErrorCode, detail: string): void {
    const status = this.#hasSentHead ? this.#status : NOTHING_SENT;
    this.#settle(status, code, detail, endingOf(code));
  }

  /** The one place where an exchange ends. @param ended null: the client got all of its answer */
  #settle(status: number, error: ErrorCode | null, detail: string, ended: Ending | null): void {
    if (this.#phase === Phase.OVER) return;
    this.#phase = Phase.OVER;
    this.#attempts.close();
    if (this.#attempts.backend !== null) this.context.queue.roomMade();
    const bodyBytes = (this.#upload?.bytesIn ?? 0) + (this.#tunnel?.settle() ?? 0);
    recordExchange(this.context, this.#attempts, this.#request, {
      status,
      bytesIn: this.#request.headBytes + bodyBytes,
      bytesOut: this.#client.bytesOut - this.#bytesOutAtStart,
      startedAt: this.#startedAt,
      firstByteMs: this.#firstByteMs,
      error,
      errorDetail: detail,
      ended,
    });
  }
}
