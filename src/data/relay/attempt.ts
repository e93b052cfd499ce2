/**
 * One try of an exchange at one backend: the connection, what is sent on it, what comes back, and what it cost.
 *
 * It is the connection's user from the moment it is picked until it ends; the exchange hears only what it has to act on.
 */
import { performance } from 'node:perf_hooks';
import { ERRORS, type ErrorCode } from '../../errors.ts';
import { NO_PASS } from '../../snapshot/counter-cells.ts';
import type { FaultsInARowMessage } from '../../snapshot/messages.ts';
import type { Backend } from '../backend/backend.ts';
import type { BackendConnection, ConnectionUser } from '../backend/backend-connection.ts';
import { letGo, type Victim } from '../barrier.ts';
import type { View } from '../view.ts';
import type { AttemptRecord } from './access-log.ts';
import type { BackendPin } from './backend-pin.ts';
import type { Chosen } from './chosen.ts';
import { Download, type DownloadOwner } from './download.ts';
import { afterMs, type Fault, faultOf, isFaultStatus } from './faults.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { silentConnect } from './silence.ts';
import type { Upload } from './upload.ts';

/** The exchange, as its attempt sees it. */
export interface AttemptOwner extends DownloadOwner, Victim {
  /** The client does not read as fast as the backend sends. */
  readonly isClientFull: boolean;
  onAttemptConnected(): void;
  onAttemptFailed(code: ErrorCode, detail: string): void;
  /** More of the request may be sent, or none of it any more: either way the client is read on. */
  onUploadRoom(): void;
}

/** Head and body up to here go out in one write. */
const SMALL_BODY_BYTES = 16 * 1024;

/**
 * An idle connection that is used in the moment in which the backend closes it breaks at once: within a round trip, and
 * what a busy backend needs. Later than that, it broke with a request at work.
 */
const IDLE_RACE_MS = 50;

/**
 * Once a good answer has lasted so long, it counts as one. Shorter ones count when they are whole, so that a backend that
 * breaks off all of them fails each time; but streams and tunnels last for hours, and must not keep it unjudged.
 */
export const LASTING_MS = 1_000;

export class Attempt implements ConnectionUser {
  readonly backend: Backend;
  readonly view: View;
  chosen: Chosen = 'strategy';
  /** The connection carried a request before. */
  isReused = false;
  /** Time to the open connection in ms; −1 for a pooled one. */
  connectMs = -1;
  /** When the request went out, on the awake clock: the last byte of it, once all was sent. */
  sentAt: number;
  /** Of the response; 0 before its head. */
  status = 0;

  readonly #owner: AttemptOwner;
  /** On the precise clock, for the log; and on the awake one, for the judgement. */
  readonly #startedAt: number;
  readonly #awakeSince: number;
  #connection: BackendConnection | null = null;
  #download: Download | null = null;
  #pin: BackendPin | null = null;
  /** The backend has all of the request: from here on it is the backend that takes its time. */
  #isAllSent = false;
  /** When the response head came, on the awake clock. */
  #headAt = 0;
  #interimAt = 0;
  /** Counted at its backend as a request in flight. */
  #isCounted = false;
  /** The backend's health has heard of this attempt, and of a fault. */
  #isJudged = false;
  #isFault = false;

  constructor(owner: AttemptOwner, view: View, backend: Backend, startedAt: number) {
    this.#owner = owner;
    this.view = view;
    this.backend = backend;
    this.#startedAt = startedAt;
    this.#awakeSince = owner.context.deadlines.at(startedAt);
    this.sentAt = this.#awakeSince;
  }

  /**
   * Takes the newest idle connection, or begins a fresh one (`onAttemptConnected` follows).
   * @param pinned what its client has taken already, and goes before both.
   * @returns why not, if the backend has no room, or its circuit breaker lets nothing through; the attempt is void then.
   */
  begin(
    needsFresh: boolean,
    pinned: BackendConnection | null = null,
  ): 'ERR_BACKENDS_FULL' | 'ERR_CIRCUIT_OPEN' | null {
    const { backend, view } = this;
    const { counters } = backend;
    const { maxRequests, maxConnections } = view.snapshot.pool;
    if (!counters.tryStartRequest(maxRequests)) return 'ERR_BACKENDS_FULL';
    this.#isCounted = true;
    const pass = counters.takePass();
    if (pass === NO_PASS) {
      this.#uncount();
      return 'ERR_CIRCUIT_OPEN';
    }
    try {
      if (!this.#connect(needsFresh, pinned, maxConnections)) {
        counters.returnPass(pass);
        this.#uncount();
        return 'ERR_BACKENDS_FULL';
      }
      view.strategy.onStart?.(backend);
    } catch (error) {
      counters.returnPass(pass);
      this.giveUp();
      throw error;
    }
    return null;
  }

  /** Takes the newest idle connection, or begins a fresh one; false when there may be no more of them. */
  #connect(needsFresh: boolean, pinned: BackendConnection | null, maxConnections: number): boolean {
    const { backend } = this;
    const idle = pinned ?? (needsFresh ? null : backend.takeIdle(this.#startedAt));
    if (idle === null) {
      this.#connection = backend.connect(this, maxConnections);
    } else {
      idle.assign(this);
      this.#connection = idle;
      this.isReused = true;
    }
    return this.#connection !== null;
  }

  #uncount(): void {
    if (!this.#isCounted) return;
    this.#isCounted = false;
    this.backend.counters.requestFinished();
  }

  /** An exception came out of its handling: gives back what it holds, judges nobody. May be called again. */
  giveUp(): void {
    letGo(() => this.#uncount());
    letGo(() => this.#connection?.giveUp());
  }

  onCrashed(error: unknown): void {
    this.#owner.onCrashed(error);
    this.giveUp();
  }

  /** The head of the final response is there. @param now on the precise clock */
  headCame(status: number, now: number): void {
    const { backend, view } = this;
    const { slowCallMs } = view.snapshot.pool.faults;
    this.status = status;
    this.#headAt = this.#owner.context.deadlines.at(now);
    const ms = this.#headAt - this.sentAt;
    const isSlow = this.#isAllSent && slowCallMs !== 0 && ms > slowCallMs;
    const isFault = isSlow || isFaultStatus(status);
    if (this.#isAllSent) backend.counters.responseHeadAfter(ms);
    // An answer to half a request came when the client let it come.
    if (this.#isAllSent || isFault) view.strategy.onFinish?.(backend, isFault, ms);
    else view.strategy.onCalledOff?.(backend, 0);
    if (isSlow) this.#blame('slow', afterMs('an answer', ms));
    else if (isFault) this.#blame('bad-answer', `status ${status}`);
  }

  interimCame(now: number): void {
    this.#interimAt = this.#owner.context.deadlines.at(now);
  }

  /** Since when the response head is waited for: an interim response shows a backend at work, as in nginx and HAProxy. */
  get silentSince(): number {
    const { perTryTimeoutMs } = this.view.snapshot.pool.retries;
    // One try gets no more than its time for that.
    return perTryTimeoutMs === 0 ? Math.max(this.sentAt, this.#interimAt) : this.sentAt;
  }

  get isJudged(): boolean {
    return this.#isJudged;
  }

  /** The answer goes on; it counts as a good one once it has lasted. @param nowMs on the awake clock; may be coarse */
  goesOn(nowMs: number): void {
    if (!this.#isJudged && this.status !== 0 && nowMs - this.#headAt > LASTING_MS)
      this.countAsGood();
  }

  countAsGood(): void {
    if (this.#isJudged) return;
    this.#isJudged = true;
    this.backend.counters.wentWell();
  }

  /** The request is on its way. */
  get isSent(): boolean {
    return this.#download !== null;
  }

  get hasResponse(): boolean {
    return this.#download?.hasBytes === true;
  }

  /** The backend takes no more for now. */
  get needsDrain(): boolean {
    return this.#connection?.needsDrain === true;
  }

  /** Sends the head, and what of the body is at hand. */
  send({ facts, forwarded, pin }: IncomingRequest, upload: Upload | null): void {
    const connection = this.#open();
    this.#pin = pin;
    if (facts.authenticatesConnection) connection.isPrivate = true;
    this.#download = new Download(this.#owner, connection);
    const hostLine = forwarded.needsHost ? `Host: ${this.#host(facts.host)}\r\n` : '';
    const head = `${forwarded.startLine}${hostLine}${forwarded.fields}`;
    if (upload === null) {
      connection.writeText(`${head}\r\n`);
      this.#isAllSent = true;
      return;
    }
    const text = `${head}${upload.framingLine()}\r\n`;
    const body = upload.takeSmall(SMALL_BODY_BYTES);
    if (body !== null) {
      connection.writeText(text + body);
    } else {
      connection.writeText(text);
      upload.flush(connection);
    }
    this.#isAllSent = upload.isSent;
  }

  /** An HTTP/1.0 request may have come without a host. */
  #host(asked: string | null): string {
    const { hostHeader } = this.view.snapshot.forwarding;
    if (hostHeader.kind === 'fixed') return hostHeader.value;
    const { authority } = this.backend.spec;
    return hostHeader.kind === 'backend' ? authority : (asked ?? authority);
  }

  sendMore(upload: Upload): void {
    const connection = this.#open();
    if (!connection.needsDrain) upload.flush(connection);
    if (this.#isAllSent || !upload.isSent) return;
    this.#isAllSent = true;
    this.sentAt = this.#owner.context.deadlines.now();
  }

  /** The client reads again. */
  resume(): void {
    this.#connection?.resume();
  }

  /** The connection goes to a tunnel; the attempt ends with it. */
  giveConnection(): BackendConnection {
    return this.#open();
  }

  /**
   * Lets go of the backend: its counters go down, its connection goes back to the pool or is closed. Called once.
   * @param mayReuse whether the exchange would keep the connection; the response has its own say in it.
   * @param now on the precise clock.
   * @param isRace the request goes on over a fresh connection: see `isKeepAliveRace`.
   */
  end(failure: ErrorCode | null, mayReuse: boolean, now: number, isRace = false): AttemptRecord {
    const connection = this.#open();
    // From here on it is the pool's, or closed.
    this.#connection = null;
    try {
      return this.#letGo(connection, failure, mayReuse, now, isRace);
    } catch (error) {
      this.#uncount();
      connection.giveUp();
      throw error;
    }
  }

  #letGo(
    connection: BackendConnection,
    failure: ErrorCode | null,
    mayReuse: boolean,
    now: number,
    isRace: boolean,
  ): AttemptRecord {
    const { backend, view } = this;
    const download = this.#download;
    const awakeMs = this.#owner.context.deadlines.at(now);
    const wasIdle =
      failure === 'ERR_BACKEND_CLOSED' &&
      this.isReused &&
      awakeMs - this.#awakeSince < IDLE_RACE_MS;
    const hasFailed = !(isRace && wasIdle) && this.#isFailure(failure);
    download?.dispose();
    this.#uncount();
    if (hasFailed) backend.counters.attemptFailed();
    if (this.status === 0) this.#endUnanswered(wasIdle ? null : failure, hasFailed, awakeMs);
    else this.#endAnswered(failure, hasFailed, awakeMs);
    // A backend that has answered may still have to read: what waits for it would delay the next request.
    const isReusable =
      mayReuse &&
      download?.isReusable === true &&
      connection.isFlushed &&
      !connection.hasWriteFailed;
    if (isReusable) {
      const { pool, timeouts } = view.snapshot;
      const keepMs = timeouts.backendKeepAliveMs;
      if (connection.isPrivate) {
        this.#pin?.hold(connection);
        backend.keepPinned(connection, now, keepMs);
      } else {
        backend.putIdle(connection, now, keepMs, pool.maxConnections);
      }
    } else {
      connection.destroy();
    }
    return {
      backendUrl: backend.spec.url,
      chosen: this.chosen,
      // Without a failure and without an answer, another attempt was quicker.
      outcome: failure ?? (this.status === 0 ? 'called_off' : 'ok'),
      durationMs: now - this.#startedAt,
    };
  }

  /** The backend is to blame. A status that is tried again is a failure only if it is one anyway. */
  #isFailure(failure: ErrorCode | null): boolean {
    if (failure === null || ERRORS[failure].source !== 'backend') return false;
    return failure !== 'ERR_BACKEND_STATUS' || isFaultStatus(this.status);
  }

  /** @param failure null as well for an idle connection that has just been closed: that is no fault. */
  #endUnanswered(failure: ErrorCode | null, hasFailed: boolean, awakeMs: number): void {
    const { backend, view } = this;
    const fault = hasFailed && failure !== null ? faultOf(failure) : null;
    if (fault !== null && fault !== 'silence') {
      view.strategy.onFinish?.(backend, true, awakeMs - this.#awakeSince);
      this.#blame(fault, failure as string);
      return;
    }
    // Called off: by a timeout, by a hedge that was quicker, or because the client left.
    const { slowCallMs } = view.snapshot.pool.faults;
    const waitedMs = this.#isAllSent ? awakeMs - this.sentAt : 0;
    view.strategy.onCalledOff?.(backend, waitedMs);
    if (slowCallMs !== 0 && waitedMs > slowCallMs)
      this.#blame('slow', afterMs('no answer', waitedMs));
    else if (fault !== null) this.#blame(fault, failure as string);
  }

  #endAnswered(failure: ErrorCode | null, hasFailed: boolean, awakeMs: number): void {
    const { backend, view } = this;
    const hasBrokenOff = hasFailed && failure !== 'ERR_BACKEND_STATUS';
    if (!hasBrokenOff) {
      this.countAsGood();
      return;
    }
    const fault = faultOf(failure as ErrorCode);
    if (fault === null) return;
    view.strategy.onBrokenOff?.(backend, awakeMs - this.sentAt);
    if (!this.#isFault) this.#blame(fault, failure as string);
  }

  /** What the attempt says against its backend, and in words. */
  #blame(fault: Fault, detail: string): void {
    const { counters } = this.backend;
    const { faults } = this.view.snapshot.pool;
    this.#isJudged = true;
    this.#isFault = true;
    if (fault === 'silence') {
      counters.stayedSilent();
      this.#owner.context.post({ kind: 'no-answer', backendId: this.backend.id });
      return;
    }
    counters.wentBadly();
    this.#report('consecutive_5xx', counters.errorInARow(), faults.consecutive5xx, detail);
    if (fault === 'bad-answer') counters.connectionHeld();
    else {
      const inARow = counters.failureInARow();
      this.#report('consecutive_failures', inARow, faults.consecutiveFailures, detail);
    }
  }

  #report(rule: FaultsInARowMessage['rule'], inARow: number, limit: number, detail: string): void {
    if (limit === 0 || inARow % limit !== 0) return;
    const backendId = this.backend.id;
    this.#owner.context.post({ kind: 'faults-in-a-row', backendId, rule, detail });
  }

  onBackendConnected(): void {
    const now = performance.now();
    this.sentAt = this.#owner.context.deadlines.at(now);
    this.connectMs = now - this.#startedAt;
    this.#owner.onAttemptConnected();
  }

  connectedTooLate(): void {
    const detail = silentConnect(this.view.snapshot, this.backend.spec.authority);
    this.onBackendConnectFailed('ERR_BACKEND_CONNECT_TIMEOUT', detail);
  }

  onBackendConnectFailed(code: ErrorCode, detail: string): void {
    // What is short on our side says nothing about the backend.
    if (ERRORS[code].source === 'backend') {
      this.#owner.context.post({
        kind: 'connect-failed',
        backendId: this.backend.id,
        code,
        detail,
      });
    }
    this.#owner.onAttemptFailed(code, detail);
  }

  onBackendBytes(buffer: Buffer, length: number): void {
    const download = this.#download as Download;
    const connection = this.#open();
    download.receive(buffer, length);
    if (download.isComplete) return;
    if (this.#owner.isClientFull) connection.pause();
    this.goesOn(this.#owner.context.nowMs);
  }

  onBackendDrain(): void {
    if (this.#download !== null) this.#owner.onUploadRoom();
  }

  onBackendCutOff(): void {
    this.#owner.onAttemptFailed('ERR_CUT_BY_DRAIN', 'the backend is out of use');
  }

  /** The response may already be on its way (an early 413): nothing more is written, and reading goes on. */
  onBackendWriteFailed(): void {
    this.#owner.onUploadRoom();
  }

  onBackendEnd(detail: string, isBroken: boolean): void {
    const download = this.#download as Download;
    // RFC 9112 §8: a body that ends with the connection is complete only if the connection ended in order.
    if (!isBroken && download.receiveEnd()) return;
    const code = download.isHeadDone ? 'ERR_BACKEND_TRUNCATED' : 'ERR_BACKEND_CLOSED';
    this.#owner.onAttemptFailed(code, detail);
  }

  #open(): BackendConnection {
    if (this.#connection === null) throw new Error('the attempt was not begun');
    return this.#connection;
  }
}
