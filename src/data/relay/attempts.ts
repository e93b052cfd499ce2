/**
 * The attempts of one exchange: who gets the next one and when, whether there is a next one, and what became of those
 * before. The waiting is here too: for a backend with room, for the time of the next attempt, for a hedge.
 */
import { performance } from 'node:perf_hooks';
import { ERRORS, type ErrorCode } from '../../errors.ts';
import { NO_PASS } from '../../snapshot/counter-cells.ts';
import type { Backend } from '../backend/backend.ts';
import type { ResponseStart } from '../backend/backend-stream.ts';
import type { ObservedBody } from '../balance/stickiness.ts';
import { letGo } from '../barrier.ts';
import type { Deadline, Waiting } from '../deadlines.ts';
import type { PoolView } from '../pool/pool-view.ts';
import type { Waiter } from '../pool/request-queue.ts';
import { BODY_NONE } from '../wire/framing.ts';
import type { ResponseHead } from '../wire/head.ts';
import type { AttemptRecord } from './access-log-entry.ts';
import type { Attempt, AttemptOwner } from './attempt.ts';
import { Hedge, type HedgeOwner } from './hedge.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { hasAnother, idleFor, type Picker, pick, pickHedge, unfitForHedge } from './pick.ts';
import { isRefusedAnswer, refusalOf } from './refused-answers.ts';
import { isHedgeable, isKeepAliveRace } from './retry-decision.ts';
import { addedFields } from './session-settlement.ts';
import { noRoom } from './silence.ts';
import { type Situation, Tries } from './tries.ts';
import { unserved } from './unserved.ts';

/** The exchange, as its attempts see it. */
export interface AttemptsOwner extends AttemptOwner {
  /** By when the exchange must be over, on the awake clock; Infinity: it may last. */
  readonly totalDeadlineMs: number;
  /** There is a current attempt: it has a connection, or opens one. */
  onAttemptBegun(): void;
  /** The next attempt comes when there is room, or it is time: after `limitMs` at most, then `waitedTooLong` is called. */
  onAttemptWaits(limitMs: number): void;
  /** There is no further attempt, and so the exchange fails. @param fields whole field lines for the answer */
  fail(code: ErrorCode, detail: string, fields?: string): void;
}

const NONE: readonly AttemptRecord[] = [];

export class Attempts implements HedgeOwner, Picker, Waiter, Waiting {
  /** The view of the current attempt: a retry runs on what is in force by then. */
  view: PoolView;
  current: Attempt | null = null;
  beginning: Attempt | null = null;
  /** The backend of the last attempt, for the counters and the log. */
  backend: Backend | null = null;
  records = NONE;
  /** Time in the queue in ms; −1: never there. */
  queueMs = -1;
  /** Time to the open connection of the last attempt that opened one, in ms; −1 before. */
  connectMs = -1;
  /** When the exchange began, on the precise clock; how long it was until the response head; −1 before. */
  readonly startedAt: number;
  firstByteMs = -1;
  /** When the last one ended, on the precise clock; 0 before. */
  endedAt = 0;

  readonly request: IncomingRequest;
  tries: Tries | null = null;
  drainingKeeper: Backend | null = null;
  keeper: Backend | null = null;
  bindsSession = false;
  hasTurn = false;
  isAnyFull = false;
  /** An interim response was relayed to the client. */
  hasInterim = false;

  readonly #owner: AttemptsOwner;
  #lastDetail = '';
  #hedge: Hedge | null = null;
  /** Of the next attempt, or of the hedge. */
  #timer: Deadline | null = null;
  /** 0: not in the queue. */
  #queuedAt = 0;

  constructor(owner: AttemptsOwner, request: IncomingRequest, startedAt: number) {
    this.#owner = owner;
    this.request = request;
    this.startedAt = startedAt;
    this.view = request.pool.view;
  }

  /** Begins the next attempt, or waits for room. */
  start(): void {
    this.request.mirror?.letIn();
    const { queue, view } = this.request.pool;
    const isForIdle = this.tries?.isForIdle === true;
    // The keep-alive race: its room has become free just now, and was its own.
    const hasHadItsTurn = this.tries?.isRace === true;
    // Nobody else overtakes those who wait, unless a reload has done away with waiting: then they are about to go as well.
    const mayOvertake = isForIdle || hasHadItsTurn || this.isPicky || view.spec.queue.size === 0;
    const error = !mayOvertake && queue.hasLine ? 'ERR_BACKENDS_FULL' : this.#begin();
    if (error === null) this.#owner.onAttemptBegun();
    else if (error === 'ERR_BACKENDS_FULL' && !isForIdle) this.#enqueue();
    else this.#giveUp(error);
  }

  /**
   * Ends the current attempt as failed, and goes on with another where the rules allow it.
   * @param isReplayable whether all that was sent of the request is still at hand.
   */
  fail(code: ErrorCode, detail: string, isReplayable: boolean): void {
    const { backend, hasResponse, isReused } = this.current as Attempt;
    this.#clearTimer();
    this.#lastDetail = detail;
    const tries = this.#tries;
    // Of a status it was decided when its head came: `refuses`.
    const action = isRefusedAnswer(code)
      ? tries.action
      : tries.decide(
          { kind: 'failed', code, isReused, hasResponse },
          this.#situation(isReplayable, this.#isAnyLeft(code)),
        );
    const isRace = action === 'race';
    this.end(code, false, isRace);
    if (isRace) tries.raced();
    else tries.failed(backend, code);
    if (this.#hedge !== null) {
      this.#goOnWith(this.#hedge);
    } else if (isRace) {
      this.start();
    } else if (action === 'retry') {
      tries.pay();
      this.#startAfter(tries.pauseMs);
    } else {
      tries.gaveUp(this.records);
      this.#owner.fail(code, detail);
    }
  }

  get #tries(): Tries {
    this.tries ??= new Tries(this.#owner.context, this.request.pool, this.request.facts.method);
    return this.tries;
  }

  #situation(isReplayable: boolean, isAnyLeft: boolean): Situation {
    const { retries } = this.request.policies;
    const { totalDeadlineMs } = this.#owner;
    return { retries, isReplayable, hasHedge: this.#hedge !== null, isAnyLeft, totalDeadlineMs };
  }

  #isAnyLeft(code: ErrorCode): boolean {
    if (ERRORS[code].retry !== 'if-idle') return this.#hasAnother(false);
    return idleFor(this, this.request.pool.view, performance.now()) !== null;
  }

  #hasAnother(withRoom: boolean): boolean {
    return hasAnother(this, this.request.pool.view, this.backend, withRoom);
  }

  /** Lets go of the current attempt. */
  end(failure: ErrorCode | null, mayReuse: boolean, isRace = false): void {
    const attempt = this.current;
    if (attempt === null) return;
    this.current = null;
    this.endedAt = performance.now();
    if (attempt.connectMs >= 0) this.connectMs = attempt.connectMs;
    this.#note(attempt.end(failure, mayReuse, this.endedAt, isRace));
  }

  /** The current attempt has the response head: nobody else is waited for. @param now on the precise clock */
  answered(now: number): void {
    this.firstByteMs = now - this.startedAt;
    this.#callOffOthers();
  }

  #callOffOthers(): void {
    this.#clearTimer();
    this.#dropHedge();
  }

  /** The request of the current attempt is on its way: a hedge may follow it. */
  sent(): void {
    const { hedgeAfterMs } = this.request.policies.retries;
    if (hedgeAfterMs === 0 || this.#hedge !== null || this.records.length > 0) return;
    const { pin, facts, keys } = this.request;
    // Another backend knows nothing of a session that is tied to one, and may say so first.
    const isTied = this.view.sessions?.isTied === true && keys !== null && keys.session !== null;
    if (!isHedgeable(facts, isTied || pin.isIn(this.view))) return;
    const { sentAt } = this.current as Attempt;
    this.#timer = this.#owner.context.deadlines.set(sentAt + hedgeAfterMs, this);
  }

  /** It is time for the next attempt, or for a hedge of the current one. */
  onDue(): void {
    this.#timer = null;
    if (this.current === null) this.start();
    else this.#startHedge();
  }

  /** As what an answer is given up for another attempt: `fail` follows, then. Null: it is the client's. */
  refuses(start: ResponseStart, isReplayable: boolean): ErrorCode | null {
    const code = refusalOf(start, this.request);
    if (code === null || this.hasInterim) return null;
    const action = this.#tries.decide(
      { kind: 'failed', code, isReused: false, hasResponse: false },
      this.#situation(isReplayable, this.#hasAnother(true)),
    );
    if (action === 'give up') return null;
    (this.current as Attempt).refused(code, start);
    return code;
  }

  /** The time of `onAttemptWaits` is up. */
  waitedTooLong(): void {
    if (this.#queuedAt === 0) return;
    this.#owner.fail('ERR_QUEUE_TIMEOUT', noRoom(this.view.spec));
  }

  /** The exchange is over. */
  close(): void {
    this.#callOffOthers();
    this.#leaveQueue();
  }

  #begin(): ErrorCode | null {
    const { view, counters, retryBudget } = this.request.pool;
    const isFirst = this.records.length === 0;
    // The pool's circuit breaker counts requests that get through to a backend, whatever becomes of them there.
    const pass = isFirst ? counters.takePass() : 0;
    if (pass === NO_PASS) return 'ERR_CIRCUIT_OPEN';
    // A body may have been held, and so may whoever was in the queue or had a password to be checked.
    const { facts, terms } = this.request;
    const isPrompt =
      isFirst && this.#queuedAt === 0 && facts.bodyKind === BODY_NONE && !terms?.login;
    let attempt: Attempt | ErrorCode = 'ERR_INTERNAL';
    try {
      attempt = pick(this, this.#owner, view, isPrompt ? this.startedAt : performance.now());
    } finally {
      if (isFirst && typeof attempt === 'string') counters.returnPass(pass);
    }
    if (typeof attempt === 'string') return attempt;
    const last = this.backend;
    this.#adopt(attempt);
    // What no backend gets pays for no retries.
    if (isFirst) retryBudget.deposit();
    else if (last !== null) this.tries?.isFollowed(last, this.records);
    this.tries?.begun();
    return null;
  }

  addedFields(head: ResponseHead, body: ObservedBody, isTls: boolean): string {
    return addedFields(this, head, body, isTls);
  }

  #adopt(attempt: Attempt): void {
    this.view = attempt.view;
    this.current = attempt;
    this.backend = attempt.backend;
  }

  #note(record: AttemptRecord): void {
    this.records = this.records.length === 0 ? [record] : [...this.records, record];
  }

  #startAfter(pauseMs: number): void {
    if (pauseMs === 0) {
      this.start();
      return;
    }
    this.endedAt = 0;
    const { deadlines } = this.#owner.context;
    this.#owner.onAttemptWaits(Number.POSITIVE_INFINITY);
    this.#timer = deadlines.set(deadlines.now() + pauseMs, this);
  }

  /** There is nobody to send it to: of that and an attempt that failed, the attempt says more. */
  #giveUp(error: ErrorCode): void {
    const last = this.records.at(-1);
    if (last !== undefined) {
      this.#owner.fail(last.outcome as ErrorCode, this.#lastDetail);
      return;
    }
    const { code, detail, fields } = unserved(
      error,
      this.isAnyFull,
      this.request.pool,
      this.#owner.context.processNowMs(),
    );
    this.#owner.fail(code, detail, fields);
  }

  // ── The queue ───────────────────────────────────────────────────────────────────────────────────────────────────

  #enqueue(): void {
    const { queue, view } = this.request.pool;
    const { size, timeoutMs } = view.spec.queue;
    if (!queue.enter(this, size)) {
      this.#giveUp(size === 0 ? 'ERR_BACKENDS_FULL' : 'ERR_QUEUE_FULL');
      return;
    }
    this.view = view;
    this.endedAt = 0;
    this.#queuedAt = performance.now();
    this.#owner.onAttemptWaits(timeoutMs);
  }

  get isPicky(): boolean {
    return this.tries !== null && this.tries.backends !== null;
  }

  tryStart(): boolean {
    const error = this.#begin();
    if (error === 'ERR_BACKENDS_FULL') return false;
    this.#leaveQueue();
    if (error === null) this.#owner.onAttemptBegun();
    else this.#giveUp(error);
    return true;
  }

  #leaveQueue(): void {
    if (this.#queuedAt === 0) return;
    const waitedMs = performance.now() - this.#queuedAt;
    this.#queuedAt = 0;
    this.queueMs = Math.max(0, this.queueMs) + waitedMs;
    this.request.pool.queue.leave(this, waitedMs);
  }

  // ── A second attempt beside the first ───────────────────────────────────────────────────────────────────────────

  #startHedge(): void {
    const { retryBudget, counters, queue, view } = this.request.pool;
    const { current } = this;
    if (current === null) return;
    const unfit = unfitForHedge(view, current.backend);
    const isTrial = !current.backend.counters.isGateWideOpen;
    const action = this.#tries.decide(
      { kind: 'late', isTrial, hasLine: queue.hasLine },
      this.#situation(true, unfit.length < view.eligible.length),
    );
    if (action !== 'hedge') return;
    const hedge = new Hedge(this, this.#owner, this.request);
    const attempt = pickHedge(this, hedge, view, performance.now(), unfit);
    if (typeof attempt === 'string') return;
    retryBudget.withdraw();
    this.#hedge = hedge;
    hedge.attempt = attempt;
    counters.hedged();
    hedge.start();
  }

  /** The first attempt failed: the hedge is the exchange's attempt. */
  #goOnWith(hedge: Hedge): void {
    this.#hedge = null;
    this.tries?.begun();
    this.bindsSession = true;
    this.#adopt(hedge.adopt());
    this.#owner.onAttemptBegun();
  }

  onHedgeWon(attempt: Attempt): void {
    this.#hedge = null;
    this.end(null, false);
    this.#adopt(attempt);
  }

  onHedgeFailed(attempt: Attempt, code: ErrorCode): void {
    this.#hedge = null;
    const { hasResponse, isReused } = attempt;
    const { retries } = this.request.policies;
    const { method } = this.request.facts;
    const isRace = isKeepAliveRace(
      { code, isReused, hasResponse },
      { retries, method, isReplayable: true },
    );
    if (!isRace) this.#tries.failed(attempt.backend, code);
    this.#note(attempt.end(code, false, performance.now(), isRace));
  }

  #dropHedge(): void {
    const attempt = this.#hedge?.attempt ?? null;
    if (attempt === null) return;
    this.#hedge = null;
    this.#note(attempt.end(null, false, performance.now()));
  }

  onCrashed(error: unknown): void {
    this.#owner.onCrashed(error);
  }

  /** Whatever is under way is given up, and what it holds given back: see `Attempt.giveUp`. */
  giveUp(): void {
    letGo(() => this.#clearTimer());
    letGo(() => this.#leaveQueue());
    this.current?.giveUp();
    this.#hedge?.attempt?.giveUp();
    // As a rule one of the two, or over: then there is nothing to give up.
    this.beginning?.giveUp();
    this.current = this.#hedge = this.beginning = null;
  }

  #clearTimer(): void {
    if (this.#timer === null) return;
    this.#owner.context.deadlines.callOff(this.#timer);
    this.#timer = null;
  }
}
