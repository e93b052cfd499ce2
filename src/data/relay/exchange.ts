/**
 * One request and its response, from the parsed head to the log line: the attempts, and what happens when one fails.
 *
 * It owns all that must not leak: attempt, connection, upload, download. However it ends, `#settle` runs exactly once.
 */
import { performance } from 'node:perf_hooks';
import { ERRORS, type ErrorCode } from '../../errors.ts';
import { type Ending, endingOf } from '../../snapshot/endings.ts';
import type { ResponseStart } from '../backend/backend-stream.ts';
import type { BodyLearner, ObservedBody } from '../balance/stickiness.ts';
import { letGo } from '../barrier.ts';
import { redirectRule } from '../wire/location.ts';
import { NOTHING_SENT } from './access-log-entry.ts';
import { type Applicant, CHECKING, refusal } from './admission.ts';
import type { Attempt } from './attempt.ts';
import { Attempts, type AttemptsOwner } from './attempts.ts';
import type { DataContext } from './context.ts';
import { Phase } from './exchange-phases.ts';
import { silent, silentUntil, tunnelSilentUntil } from './exchange-silence.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { type Leaving, recordExchange } from './ledger.ts';
import { failureAnswer, type OwnAnswer, ownAnswer } from './own-answers.ts';
import type { Responder } from './responder.ts';
import { endsBy, type Failure, unfinished } from './silence.ts';
import { Tunnel, type TunnelOwner } from './tunnel.ts';
import { createUpload, HOLD_MS, type Upload } from './upload.ts';

const CONTINUE = 100;

export class Exchange implements Applicant, AttemptsOwner, ObservedBody, TunnelOwner {
  readonly context: DataContext;
  learner: BodyLearner | null = null;
  /** What the client's side tells the request's body, up to `onBodyFlush`; null: it has none. */
  readonly upload: Upload | null;

  readonly #client: Responder;
  readonly #request: IncomingRequest;
  /** When the whole must be over, on the awake clock. */
  readonly #endsByMs: number;
  readonly #attempts: Attempts;
  #phase: Phase = Phase.HOLDING;
  #tunnel: Tunnel | null = null;
  #status = 0;
  #leaving: Leaving | null = null;

  constructor(context: DataContext, client: Responder, request: IncomingRequest) {
    this.context = context;
    this.#client = client;
    this.#request = request;
    const startedAt = performance.now();
    this.#endsByMs = endsBy(request, context.deadlines.at(startedAt));
    this.#attempts = new Attempts(this, request, startedAt);
    this.upload = createUpload(request);
  }

  /** What the client sends now is this exchange's: of its request's body, or of its tunnel. All else is for the next one. */
  get wantsClientBytes(): boolean {
    return this.#phase === Phase.TUNNEL || (this.#phase !== Phase.OVER && this.isUploadOpen);
  }

  get #attempt(): Attempt | null {
    return this.#attempts.current;
  }

  get heldBytes(): number {
    return (this.upload?.keptBytes ?? 0) + (this.#attempt?.heldBytes ?? 0);
  }

  /** More of the request's body is to come. */
  get isUploadOpen(): boolean {
    return this.upload !== null && !this.upload.isComplete;
  }

  /** What has come of a body is told next: a small one leaves together with the head. */
  begin(): void {
    const refused = refusal(this.context, this.#request, this);
    if (refused === CHECKING) {
      this.#phase = Phase.CHECKING;
      this.#setDeadline(Number.POSITIVE_INFINITY);
    } else {
      this.#proceed(refused);
    }
  }

  get awaitsAdmission(): boolean {
    return this.#phase === Phase.CHECKING;
  }

  onAdmission(refused: Failure | null): void {
    this.#phase = Phase.HOLDING;
    this.#proceed(refused);
    // What has come of the body meanwhile may be enough.
    this.onBodyFlush();
  }

  #proceed(refused: Failure | null): void {
    const answer = refused === null ? ownAnswer(this.context, this.#request) : null;
    if (refused !== null) this.fail(refused.code, refused.detail, refused.fields);
    else if (answer !== null) this.#answer(answer, null, '');
    else if (this.upload === null || this.upload.startsAtOnce) this.#attempts.start();
    // The coarse clock may be a tick ahead: by it, the body would be held for up to twice as long.
    else this.#setDeadline(this.context.deadlines.now() + HOLD_MS);
  }

  // ── What the client does ────────────────────────────────────────────────────────────────────────────────────────

  /** All that has come of the body was told; the bytes may change when this returns. */
  onBodyFlush(): void {
    const upload = this.upload;
    if (upload === null || this.#phase === Phase.OVER) return;
    if (upload.error !== null) this.fail(upload.error, `after ${upload.bytesIn} bytes of body`);
    else if (this.#phase >= Phase.SENDING) this.#pumpUpload();
    else if (this.#phase === Phase.HOLDING && upload.mayStart) this.#attempts.start();
    else if (upload.isHeldFull) this.#client.pause();
    upload.hold();
  }

  /** Of a tunnel. */
  onClientBytes(buffer: Buffer, start: number, end: number): void {
    this.#tunnel?.fromClient(buffer, start, end);
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
    this.#client.reset('ERR_CLIENT_GONE');
  }

  onDeadline(): void {
    if (this.#client.deadlineMs >= this.totalDeadlineMs) {
      const { code, detail } = unfinished(this.#request);
      this.fail(code, detail);
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
        this.#onSilence();
        break;
      case Phase.RESPONDING:
        // A slow reader is no dead one.
        if (this.#client.hasRead()) this.#touch();
        else this.#onSilence();
        break;
      case Phase.TUNNEL:
        this.#onTunnelSilence();
        break;
      default:
    }
  }

  #onSilence(): void {
    const attempt = this.#attempt as Attempt;
    const { code, detail } = silent(this.#phase, attempt, this.upload, this.#client);
    if (ERRORS[code].source === 'backend') this.onAttemptFailed(code, detail);
    else this.fail(code, detail);
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
      this.#setDeadline(this.context.nowMs + this.#request.policies.timeouts.connectMs);
      if (this.upload?.isHeldFull === true) this.#client.pause();
    }
  }

  onAttemptWaits(limitMs: number): void {
    this.#phase = Phase.WAITING;
    this.#setDeadline(this.context.nowMs + limitMs);
    if (this.upload?.isHeldFull === true) this.#client.pause();
  }

  onAttemptConnected(): void {
    this.#send(this.#attempt as Attempt);
  }

  #send(attempt: Attempt): void {
    this.#phase = Phase.SENDING;
    if (this.#attempts.records.length > 0) this.upload?.rewind();
    attempt.send(this.#request, this.upload);
    if (this.upload !== null) {
      this.#pumpUpload();
      return;
    }
    this.#touch();
    this.#attempts.sent();
  }

  #pumpUpload(): void {
    const attempt = this.#attempt as Attempt;
    const upload = this.upload as Upload;
    attempt.sendMore(upload);
    this.#touch();
    if (attempt.needsDrain || upload.isHeldFull) this.#client.pause();
    else this.#client.resume();
  }

  onUploadRoom(): void {
    if (this.upload !== null) this.#pumpUpload();
  }

  /** Silence is measured from here on. What counts as silence depends on who has to move next. */
  #touch(): void {
    if (this.#phase < Phase.SENDING) return;
    const attempt = this.#attempt as Attempt;
    this.#setDeadline(silentUntil(this.#phase, attempt, this.upload, this.context.nowMs));
  }

  #setDeadline(deadlineMs: number): void {
    this.#client.deadlineMs = Math.min(deadlineMs, this.totalDeadlineMs);
  }

  /** A tunnel may last: it is done when its 101 is. */
  get totalDeadlineMs(): number {
    return this.#phase === Phase.TUNNEL ? Number.POSITIVE_INFINITY : this.#endsByMs;
  }

  /** The attempt failed; another one may save the exchange. */
  onAttemptFailed(code: ErrorCode, detail: string): void {
    this.#attempts.fail(code, detail, this.upload?.isReplayable ?? true);
  }

  // ── What the response does ──────────────────────────────────────────────────────────────────────────────────────

  get isClientFull(): boolean {
    return this.#client.needsDrain;
  }

  onInterim(start: ResponseStart): void {
    (this.#attempt as Attempt).interimCame(performance.now());
    if (this.#client.sendInterim(start)) this.#attempts.hasInterim = true;
    if (this.upload !== null && start.head.status === CONTINUE) this.upload.isKeptBack = false;
    this.#touch();
  }

  onResponseHead(start: ResponseStart): void {
    this.#headCame(start.head.status, Phase.RESPONDING);
    this.#request.call?.headCame(start);
    const redirects = redirectRule(this.#request, (this.#attempt as Attempt).backend.spec);
    const added = this.#attempts.addedFields(start.head, this, this.#client.isTls);
    this.#client.sendHead(start, added, redirects, this.isUploadOpen);
  }

  onResponseBody(buffer: Buffer, start: number, end: number): void {
    if (this.learner?.take(buffer, start, end) === false) this.learner = null;
    this.#client.sendBody(buffer, start, end);
  }

  onResponseFlush(): void {
    if (this.#client.flush()) this.#touch();
  }

  #headCame(status: number, phase: Phase): void {
    const now = performance.now();
    (this.#attempt as Attempt).headCame(status, now);
    this.#status = status;
    this.#phase = phase;
    this.#attempts.answered(now);
  }

  refuses(start: ResponseStart): ErrorCode | null {
    return this.#attempts.refuses(start, this.upload?.isRepeatable ?? true);
  }

  onResponseComplete(trailers: string): void {
    this.#request.call?.ended(trailers, (this.#attempt as Attempt).judgement);
    this.#leaving = this.#client.end(trailers);
    this.#attempts.end(null, this.upload?.isSent !== false && !this.context.isDraining);
    this.#settle(this.#status, null, '', null);
    this.#client.exchangeDone();
  }

  onSwitched(start: ResponseStart, rest: Buffer, isWebSocket: boolean): void {
    const attempt = this.#attempt as Attempt;
    const added = this.#attempts.addedFields(start.head, this, this.#client.isTls);
    const client = this.#client.startTunnel(start, added);
    this.#headCame(start.head.status, Phase.TUNNEL);
    this.#tunnel = new Tunnel(this, client, attempt.giveConnection(), isWebSocket);
    this.#touch();
    this.#client.resume();
    this.#tunnel.begin(rest, this.#client.takeInput());
  }

  onTunnelBytes(): void {
    this.#attempt?.judgement.goesOn(this.context.nowMs);
    this.#touch();
  }

  #onTunnelSilence(): void {
    const untilMs = tunnelSilentUntil(this.#attempt as Attempt, this.context.nowMs);
    if (untilMs === 0) this.onTunnelOver('idle');
    else this.#setDeadline(untilMs);
  }

  onTunnelOver(ended: Ending | null): void {
    this.#attempts.end(null, false);
    this.#settle(this.#status, null, '', ended);
    this.#client.exchangeDone();
  }

  onTunnelBroken(detail: string): void {
    this.fail('ERR_BACKEND_TRUNCATED', detail);
  }

  // ── Endings ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The exchange failed for good: answered if nothing was sent yet, else cut, or ended so, that nobody takes it for complete. */
  fail(code: ErrorCode, detail: string, fields = ''): void {
    this.#attempts.end(code, false);
    if (this.#client.isCommitted) {
      const lastWords = this.#request.call?.lastWords(code) ?? '';
      if (lastWords !== '') this.#leaving = this.#client.end(lastWords);
      this.#breakOff(code, detail);
      if (lastWords === '') this.#client.reset(code);
      else this.#client.exchangeDone();
      return;
    }
    this.#answer(failureAnswer(this.context, this.#request, code, fields), code, detail);
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

  #answer(answer: OwnAnswer, error: ErrorCode | null, detail: string): void {
    this.#leaving = this.#client.ownAnswer(answer, this.isUploadOpen);
    this.#settle(answer.status, error, detail, null);
    this.#client.exchangeDone();
  }

  /** The client does not get all of an answer. */
  #breakOff(code: ErrorCode, detail: string): void {
    const status = this.#client.isCommitted ? this.#status : NOTHING_SENT;
    this.#settle(status, code, detail, endingOf(code));
  }

  /** The one place where an exchange ends. @param ended null: the client got all of its answer */
  #settle(status: number, error: ErrorCode | null, detail: string, ended: Ending | null): void {
    if (this.#phase === Phase.OVER) return;
    this.#phase = Phase.OVER;
    this.#attempts.close();
    if (this.#attempts.backend !== null) this.#request.pool.queue.roomMade();
    const bodyBytes = (this.upload?.bytesIn ?? 0) + (this.#tunnel?.settle() ?? 0);
    const outcome = {
      status,
      bytesIn: this.#request.headBytes + bodyBytes,
      bytesOut: this.#client.bytesOut,
      error,
      errorDetail: detail,
      ended,
    };
    recordExchange(this.context, this.#attempts, this.#request, outcome, this.#leaving);
  }
}
