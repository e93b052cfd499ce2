/**
 * The attempts of one exchange: who gets the next one and when, whether there is a next one, and what became of those
 * before. The waiting is here too: for a backend with room, for the time of the next attempt, for a hedge.
 */
import { performance } from 'node:perf_hooks';
import type { ErrorCode } from '../../errors.ts';
import { NO_PASS } from '../../snapshot/counter-cells.ts';
import type { Backend } from '../backend/backend.ts';
import { letGo } from '../barrier.ts';
import type { Deadline, Waiting } from '../deadlines.ts';
import type { View } from '../view.ts';
import { BODY_NONE } from '../wire/framing.ts';
import type { AttemptRecord } from './access-log.ts';
import { Attempt, type AttemptOwner } from './attempt.ts';
import { isAnyLeft, mustMove, pickSpare, unfitForHedge } from './candidates.ts';
import { Hedge, type HedgeOwner } from './hedge.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { retryAfterField } from './own-answers.ts';
import { beginPinned } from './pinned-attempt.ts';
import type { Waiter } from './request-queue.ts';
import {
  backoffMs,
  type FailedAttempt,
  isIdempotent,
  isKeepAliveRace,
  mayRetry,
} from './retry-rules.ts';
import { noRoom } from './silence.ts';

/** The exchange, as its attempts see it. */
export interface AttemptsOwner extends AttemptOwner {
  /** There is a current attempt: it has a connection, or opens one. */
  onAttemptBegun(): void;
  /** The next attempt comes when there is room, or it is time: after `limitMs` at most, then `waitedTooLong` is called. */
  onAttemptWaits(limitMs: number): void;
  /** There is no further attempt, and so the exchange fails. @param fields whole field lines for the answer */
  fail(code: ErrorCode, detail: string, fields?: string): void;
}

const NONE: readonly AttemptRecord[] = [];

export class Attempts implements HedgeOwner, Waiter, Waiting {
  /** The view of the current attempt: a retry runs on what is in force by then. */
  view: View;
  current: Attempt | null = null;
  /** The backend of the last attempt, for the counters and the log. */
  backend: Backend | null = null;
  records = NONE;
  /** Time in the queue in ms; −1: never there. */
  queueMs = -1;
  /** Time to the open connection of the last attempt that opened one, in ms; −1 before. */
  connectMs = -1;
  /** When the last one ended, on the precise clock; 0 before. */
  endedAt = 0;

  readonly #owner: AttemptsOwner;
  readonly #request: IncomingRequest;
  readonly #startedAt: number;
  #lastDetail = '';
  #tried: Backend[] | null = null;
  /** An idle connection turned out dead: the next attempt gets a new one. */
  #needsFresh = false;
  /** Failed attempts that `retries.attempts` counts: all but that of a keep-alive race. */
  #counted = 0;
  #hasRaced = false;
  /** The last attempt ended by such a race. */
  #isRace = false;
  /** An interim response was relayed to the client. */
  hasInterim = false;
  /** The budget has granted the next attempt already. */
  #isPaidFor = false;
  /** A draining backend that the session was with, and that serves the request if nobody else does. */
  #drainingKeeper: Backend | null = null;
  /** The current attempt begins a session, or moves it. */
  #bindsSession = false;
  #hedge: Hedge | null = null;
  /** Of the next attempt, or of the hedge. */
  #timer: Deadline | null = null;
  /** 0: not in the queue. */
  #queuedAt = 0;
  /** The last pick met a backend without room, and not only circuit breakers that let nothing through. */
  #isAnyFull = false;

  constructor(owner: AttemptsOwner, request: IncomingRequest, view: View, startedAt: number) {
    this.#owner = owner;
    this.#request = request;
    this.#startedAt = startedAt;
    this.view = view;
  }

  /** Begins the next attempt, or waits for room. */
  start(): void {
    const { queue, view } = this.#owner.context;
    // Nobody overtakes those who wait, unless a reload has done away with waiting: then they are about to go as well.
    const mustWait = view.snapshot.pool.queue.size > 0 && queue.hasLine && !this.isPicky;
    const error = mustWait ? 'ERR_BACKENDS_FULL' : this.#begin();
    if (error === null) this.#owner.onAttemptBegun();
    else if (error === 'ERR_BACKENDS_FULL') this.#enqueue();
    else this.#giveUp(error);
  }

  /**
   * Ends the current attempt as failed, and goes on with another where the rules allow it.
   * @param isReplayable whether all that was sent of the request is still at hand.
   */
  fail(code: ErrorCode, detail: string, isReplayable: boolean): void {
    const { backend, hasResponse, isReused } = this.current as Attempt;
    const { retries } = this.view.snapshot.pool;
    this.#clearTimer();
    this.#lastDetail = detail;
    // A status that is tried again was seen by nobody else.
    const isSeen = hasResponse && code !== 'ERR_BACKEND_STATUS';
    const failed = this.#failed(code, isSeen, isReplayable);
    this.#isRace = !this.#hasRaced && isKeepAliveRace(failed, isReused, retries);
    this.end(code, false);
    if (this.#isRace) {
      this.#hasRaced = true;
      this.#needsFresh = true;
    } else {
      this.#tried = [...(this.#tried ?? []), backend];
    }
    if (this.#hedge !== null) {
      this.#goOnWith(this.#hedge);
    } else if (this.#isRace) {
      this.start();
    } else if (this.#isAnyLeft(false) && this.#mayGoOn(failed)) {
      this.#counted++;
      this.#startAfter(backoffMs(this.#counted, retries, this.#owner.context.random()));
    } else {
      this.#owner.fail(code, detail);
    }
  }

  #failed(code: ErrorCode, hasResponse: boolean, isReplayable: boolean): FailedAttempt {
    const { method } = this.#request.facts;
    return { code, method, attempts: this.#counted + 1, hasResponse, isReplayable };
  }

  /** Lets go of the current attempt. */
  end(failure: ErrorCode | null, mayReuse: boolean): void {
    const attempt = this.current;
    if (attempt === null) return;
    this.current = null;
    this.endedAt = performance.now();
    if (attempt.connectMs >= 0) this.connectMs = attempt.connectMs;
    this.#note(attempt.end(failure, mayReuse, this.endedAt, this.#isRace));
  }

  /** The current attempt has the response head: nobody else is waited for. */
  answered(): void {
    this.#clearTimer();
    this.#dropHedge();
  }

  /** The request of the current attempt is on its way: a hedge may follow it. */
  sent(): void {
    const { hedgeAfterMs } = this.view.snapshot.pool.retries;
    if (hedgeAfterMs === 0 || this.#hedge !== null || this.records.length > 0) return;
    const { pin, facts } = this.#request;
    if (!isIdempotent(facts.method) || facts.upgradesToWebSocket) return;
    // Another connection would not know who the client is.
    if (facts.authenticatesConnection || pin.connection !== null) return;
    const { sentAt } = this.current as Attempt;
    this.#timer = this.#owner.context.deadlines.set(sentAt + hedgeAfterMs, this);
  }

  /** It is time for the next attempt, or for a hedge of the current one. */
  onDue(): void {
    this.#timer = null;
    if (this.current === null) this.start();
    else this.#startHedge();
  }

  /** Whether an answer with a status of `retries.on_status` is given up for another attempt. */
  mayRefuse(status: number, isReplayable: boolean): boolean {
    if (this.hasInterim || !this.view.snapshot.pool.retries.onStatus.includes(status)) return false;
    // A hedge that is under way is the other attempt.
    if (this.#hedge === null) {
      if (!this.#isAnyLeft(true)) return false;
      this.#isPaidFor = this.#mayGoOn(this.#failed('ERR_BACKEND_STATUS', false, isReplayable));
      if (!this.#isPaidFor) return false;
    }
    (this.current as Attempt).headCame(status, performance.now());
    return true;
  }

  #isAnyLeft(withRoom: boolean): boolean {
    const isTried = (one: Backend): boolean =>
      one === this.backend || this.#tried?.includes(one) === true;
    return isAnyLeft(this.#owner.context.view, isTried, this.#drainingKeeper, withRoom);
  }

  /** The time of `onAttemptWaits` is up. */
  waitedTooLong(): void {
    if (this.#queuedAt === 0) return;
    this.#owner.fail('ERR_QUEUE_TIMEOUT', noRoom(this.view.snapshot));
  }

  /** The exchange is over. */
  close(): void {
    this.answered();
    this.#leaveQueue();
  }

  #begin(): ErrorCode | null {
    const { view, counters } = this.#owner.context;
    const isFirst = this.records.length === 0;
    // The pool's circuit breaker counts requests that get through to a backend, whatever becomes of them there.
    const pass = isFirst ? counters.takePass() : 0;
    if (pass === NO_PASS) return 'ERR_CIRCUIT_OPEN';
    // A body may have been held, and so may whoever was in the queue.
    const isPrompt = isFirst && this.#queuedAt === 0 && this.#request.facts.bodyKind === BODY_NONE;
    let attempt: Attempt | ErrorCode = 'ERR_INTERNAL';
    try {
      attempt = this.#pick(this.#owner, view, isPrompt ? this.#startedAt : performance.now());
    } finally {
      if (isFirst && typeof attempt === 'string') counters.returnPass(pass);
    }
    if (typeof attempt === 'string') return attempt;
    const last = this.backend;
    this.#adopt(attempt);
    // What no backend gets pays for no retries.
    if (isFirst) this.#owner.context.retryBudget.deposit();
    else if (!this.#isRace) last?.counters.attemptRetried();
    this.#isRace = false;
    return null;
  }

  #pick(
    owner: AttemptOwner,
    view: View,
    startedAt: number,
    tried: readonly Backend[] | null = this.#tried,
  ): Attempt | ErrorCode {
    const { keys, clientAddress } = this.#request;
    let avoid = tried;
    this.#isAnyFull = false;
    const pinned =
      owner === this.#owner ? beginPinned(owner, view, this.#request, startedAt) : null;
    if (pinned !== null) return pinned;
    for (;;) {
      let backend =
        this.#pickForSession(view, avoid) ?? view.strategy.pick(keys?.hash ?? clientAddress, avoid);
      // A strategy falls back on the avoided when nothing else is left.
      if (avoid !== null && backend !== null && avoid.includes(backend)) {
        backend = this.#pickSpare(view, avoid);
      }
      if (backend === null) return avoid === tried ? 'ERR_NO_BACKEND' : 'ERR_BACKENDS_FULL';
      const attempt = new Attempt(owner, view, backend, startedAt);
      const refusal = attempt.begin(this.#needsFresh);
      if (refusal === null) return attempt;
      if (refusal === 'ERR_BACKENDS_FULL') this.#isAnyFull = true;
      avoid = avoid === null ? [backend] : [...avoid, backend];
    }
  }

  /** Not for a hedge: who is slow has not failed. */
  #pickSpare(view: View, avoid: readonly Backend[]): Backend | null {
    if (this.#tried === null || this.current !== null) return null;
    return pickSpare(view, this.#tried, avoid);
  }

  /** Where the client's session is, or where it begins; null where that is the strategy's to say. */
  #pickForSession(view: View, avoid: readonly Backend[] | null): Backend | null {
    const { sessions } = view;
    if (sessions === null) return null;
    const key = this.#request.keys?.session ?? null;
    const found = sessions.lookup(key);
    const takesItAlong = this.#request.facts.upgradesToWebSocket;
    const kept = found !== null && takesItAlong && mustMove(found, view, avoid) ? null : found;
    this.#drainingKeeper = kept === null ? found : null;
    // A full backend sends its client elsewhere for this once; one that has failed it loses its session.
    this.#bindsSession = kept === null || this.#tried?.includes(kept) === true;
    if (kept !== null && avoid?.includes(kept) !== true) return kept;
    return sessions.choose(key, avoid);
  }

  /** Field lines of ours for the response of the current attempt; the session is settled by that. */
  addedFields(isSecure: boolean): string {
    const { sessions, panicLine } = this.view;
    if (sessions === null || !this.#bindsSession) return panicLine;
    const key = this.#request.keys?.session ?? null;
    const { backend } = this.current as Attempt;
    sessions.bind(key, backend);
    return panicLine + sessions.cookieLine(key, backend, isSecure);
  }

  #adopt(attempt: Attempt): void {
    this.view = attempt.view;
    this.current = attempt;
    this.backend = attempt.backend;
  }

  #note(record: AttemptRecord): void {
    this.records = this.records.length === 0 ? [record] : [...this.records, record];
  }

  #mayGoOn(failed: FailedAttempt): boolean {
    const { retries } = this.view.snapshot.pool;
    const { context } = this.#owner;
    if (!mayRetry(failed, retries)) return false;
    if (this.#isPaidFor) {
      this.#isPaidFor = false;
      return true;
    }
    if (context.retryBudget.withdraw(retries.budgetPercent)) return true;
    context.counters.retryRefused();
    return false;
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
    const { context } = this.#owner;
    if (last !== undefined) this.#owner.fail(last.outcome as ErrorCode, this.#lastDetail);
    else if (error === 'ERR_CIRCUIT_OPEN') {
      const seconds = context.counters.gateOpensInSeconds(context.processNowMs());
      const detail = 'the circuit breaker of the pool is open';
      this.#owner.fail(error, detail, retryAfterField(seconds));
    } else if (error === 'ERR_BACKENDS_FULL' && !this.#isAnyFull) {
      const detail = 'the circuit breakers of all eligible backends let no more requests try them';
      this.#owner.fail('ERR_CIRCUIT_OPEN', detail);
    } else this.#owner.fail(error, `the pool has ${context.view.backends.size} backends`);
  }

  // ── The queue ───────────────────────────────────────────────────────────────────────────────────────────────────

  #enqueue(): void {
    const { queue, view } = this.#owner.context;
    const { size, timeoutMs } = view.snapshot.pool.queue;
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
    return this.#tried !== null;
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
    this.#owner.context.queue.leave(this, waitedMs);
  }

  // ── A second attempt beside the first ───────────────────────────────────────────────────────────────────────────

  #startHedge(): void {
    const { retryBudget, counters, queue, view } = this.#owner.context;
    const { current } = this;
    // Those who wait for a backend come first. And called off, a request that tries a backend out would never tell.
    if (current === null || queue.hasLine || !current.backend.counters.isGateWideOpen) return;
    const unfit = unfitForHedge(view, current.backend);
    if (unfit.length === view.eligible.length) return;
    if (!retryBudget.withdraw(view.snapshot.pool.retries.budgetPercent)) return;
    // The session stays with the first attempt, unless that fails.
    const bindsSession = this.#bindsSession;
    const hedge = new Hedge(this, this.#owner, this.#request);
    const attempt = this.#pick(hedge, view, performance.now(), [current.backend, ...unfit]);
    this.#bindsSession = bindsSession;
    if (typeof attempt === 'string') {
      retryBudget.refund();
      return;
    }
    this.#hedge = hedge;
    hedge.attempt = attempt;
    counters.hedged();
    hedge.start();
  }

  /** The first attempt failed: the hedge is the exchange's attempt. */
  #goOnWith(hedge: Hedge): void {
    this.#hedge = null;
    if (!this.#isRace) this.#counted++;
    this.#isRace = false;
    this.#bindsSession = true;
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
    const failed = this.#failed(code, attempt.hasResponse, true);
    const isRace = isKeepAliveRace(failed, attempt.isReused, this.view.snapshot.pool.retries);
    if (!isRace) {
      this.#counted++;
      this.#tried = [...(this.#tried ?? []), attempt.backend];
    }
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
    this.current = this.#hedge = null;
  }

  #clearTimer(): void {
    if (this.#timer === null) return;
    this.#owner.context.deadlines.callOff(this.#timer);
    this.#timer = null;
  }
}
