/**
 * What one attempt says of its backend: to the counters that its health is judged by, to the strategy, and to the control
 * plane where that should hear of it at once. Said once for good, and once against it at most.
 */
import { ERRORS, type ErrorCode } from '../../errors.ts';
import type { FaultsInARowMessage } from '../../snapshot/messages.ts';
import type { Backend } from '../backend/backend.ts';
import type { PoolView } from '../pool/pool-view.ts';
import type { DataContext } from './context.ts';
import { afterMs, type Fault, faultOf, isFaultOfCall, isFaultStatus } from './faults.ts';
import { isRefusedAnswer } from './refused-answers.ts';

/**
 * Once a good answer has lasted so long, it counts as one. Shorter ones count when they are whole, so that a backend that
 * breaks off all of them fails each time; but streams and tunnels last for hours, and must not keep it unjudged.
 */
export const LASTING_MS = 1_000;

/** All times are on the awake clock. */
export class Judgement {
  /** When the request went out: the last byte of it, once all was sent. */
  sentAt: number;
  /** The backend has all of the request: from here on it is the backend that takes its time. */
  isAllSent = false;
  /** Of the response; 0 before its head. */
  status = 0;

  readonly #context: DataContext;
  readonly #view: PoolView;
  readonly #backend: Backend;
  readonly #startedAt: number;
  /** When the response head came. */
  #headAt = 0;
  /** The strategy waits to be told how it went. */
  #isAwaited = false;
  /** The backend's health has heard of this attempt, and of a fault. */
  #isJudged = false;
  #isFault = false;

  constructor(context: DataContext, view: PoolView, backend: Backend, startedAt: number) {
    this.#context = context;
    this.#view = view;
    this.#backend = backend;
    this.#startedAt = startedAt;
    this.sentAt = startedAt;
  }

  get isJudged(): boolean {
    return this.#isJudged;
  }

  /** The backend was given the request. */
  begin(): void {
    this.#isAwaited = true;
    this.#view.strategy.onStart?.(this.#backend);
  }

  /** Nobody will know how it went. May be called again. */
  abandon(): void {
    if (!this.#isAwaited) return;
    this.#isAwaited = false;
    this.#view.strategy.onCalledOff?.(this.#backend, 0);
  }

  /** The head of the final response is there. */
  headCame(status: number, at: number): void {
    const view = this.#view;
    const backend = this.#backend;
    const { slowCallMs } = view.spec.faults;
    this.#isAwaited = false;
    this.status = status;
    this.#headAt = at;
    const ms = at - this.sentAt;
    const isSlow = this.isAllSent && slowCallMs !== 0 && ms > slowCallMs;
    const isFault = isSlow || isFaultStatus(status);
    if (this.isAllSent) backend.counters.responseHeadAfter(ms);
    // An answer to half a request came when the client let it come.
    if (this.isAllSent || isFault) view.strategy.onFinish?.(backend, isFault, ms);
    else view.strategy.onCalledOff?.(backend, 0);
    if (isSlow) this.#blame('slow', afterMs('an answer', ms));
    else if (isFault) this.#blame('bad-answer', `status ${status}`);
  }

  /** It was a call of gRPC, and has ended so, whatever the head has said. */
  callEnded(grpcStatus: number): void {
    if (this.#isFault || !isFaultOfCall(grpcStatus)) return;
    this.#view.strategy.onBrokenOff?.(this.#backend, this.#context.deadlines.now() - this.sentAt);
    this.#blame('bad-answer', `grpc-status ${grpcStatus}`);
  }

  /** The answer goes on; it counts as a good one once it has lasted. @param nowMs may be coarse */
  goesOn(nowMs: number): void {
    if (!this.#isJudged && this.status !== 0 && nowMs - this.#headAt > LASTING_MS)
      this.countAsGood();
  }

  countAsGood(): void {
    if (this.#isJudged) return;
    this.#isJudged = true;
    this.#backend.counters.wentWell();
  }

  /**
   * The attempt is over.
   * @param wasIdle an idle connection had just been closed: whatever it ended with, that is no fault.
   * @param isExcused nor is it a failure, since the request goes on as if it had not been tried.
   */
  end(failure: ErrorCode | null, wasIdle: boolean, isExcused: boolean, at: number): void {
    const hasFailed = !isExcused && this.#isFailure(failure);
    if (hasFailed) this.#backend.counters.attemptFailed();
    if (this.status === 0) this.#endUnanswered(wasIdle ? null : failure, hasFailed, at);
    else this.#endAnswered(failure, hasFailed, at);
  }

  /** The backend is to blame. A status that is tried again is a failure only if it is one anyway. */
  #isFailure(failure: ErrorCode | null): boolean {
    if (failure === null || ERRORS[failure].source !== 'backend') return false;
    if (failure === 'ERR_BACKEND_GRPC_STATUS') return this.#isFault;
    return failure !== 'ERR_BACKEND_STATUS' || isFaultStatus(this.status);
  }

  #endUnanswered(failure: ErrorCode | null, hasFailed: boolean, at: number): void {
    const view = this.#view;
    const backend = this.#backend;
    this.#isAwaited = false;
    const fault = hasFailed && failure !== null ? faultOf(failure) : null;
    if (fault !== null && fault !== 'silence') {
      view.strategy.onFinish?.(backend, true, at - this.#startedAt);
      this.#blame(fault, failure as string);
      return;
    }
    // Called off: by a timeout, by a hedge that was quicker, or because the client left.
    const { slowCallMs } = view.spec.faults;
    const waitedMs = this.isAllSent ? at - this.sentAt : 0;
    view.strategy.onCalledOff?.(backend, waitedMs);
    if (slowCallMs !== 0 && waitedMs > slowCallMs)
      this.#blame('slow', afterMs('no answer', waitedMs));
    else if (fault !== null) this.#blame(fault, failure as string);
  }

  #endAnswered(failure: ErrorCode | null, hasFailed: boolean, at: number): void {
    const hasBrokenOff = hasFailed && !isRefusedAnswer(failure);
    if (!hasBrokenOff) {
      this.countAsGood();
      return;
    }
    const fault = faultOf(failure as ErrorCode);
    if (fault === null) return;
    this.#view.strategy.onBrokenOff?.(this.#backend, at - this.sentAt);
    if (!this.#isFault) this.#blame(fault, failure as string);
  }

  /** What the attempt says against its backend, and in words. */
  #blame(fault: Fault, detail: string): void {
    const { id, counters } = this.#backend;
    const { faults } = this.#view.spec;
    this.#isJudged = true;
    this.#isFault = true;
    if (fault === 'silence') {
      counters.stayedSilent();
      this.#context.post({ kind: 'no-answer', backendId: id });
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
    const backendId = this.#backend.id;
    this.#context.post({ kind: 'faults-in-a-row', backendId, rule, detail });
  }
}
