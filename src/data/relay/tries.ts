/**
 * What the failures of one exchange have come to so far: whom they were at, how many count, and what is paid for. Made with
 * the first of them; most exchanges have none.
 */
import { ERRORS, type ErrorCode } from '../../errors.ts';
import type { Retries } from '../../snapshot/policies.ts';
import type { Backend } from '../backend/backend.ts';
import type { Pool } from '../pool/pool.ts';
import type { AttemptRecord } from './access-log-entry.ts';
import type { DataContext } from './context.ts';
import {
  type AttemptFailed,
  type AttemptLate,
  backoffMs,
  decide,
  type RetryAction,
  type RetryReason,
} from './retry-decision.ts';

/** How things stand, beside what is known here: see `RetryFacts`. */
export interface Situation {
  readonly retries: Retries;
  readonly isReplayable: boolean;
  readonly hasHedge: boolean;
  readonly isAnyLeft: boolean;
  /** Of the whole exchange, on the awake clock. */
  readonly totalDeadlineMs: number;
}

export class Tries {
  /** Backends that have failed this request; null while none has. */
  backends: readonly Backend[] | null = null;
  /** Connections that were closed when this request came to them: further attempts get new ones. */
  races = 0;
  /** That was the last that happened. */
  isRace = false;
  /** The next attempt is for an idle connection: we are short of something. */
  isForIdle = false;
  /** The last decision, and the pause before the next attempt that came with it. */
  action: RetryAction = 'give up';
  reason: RetryReason | null = null;
  pauseMs = 0;

  readonly #context: DataContext;
  readonly #pool: Pool;
  readonly #method: string;
  /** Failed attempts that `retries.attempts` counts: all but that of a keep-alive race. */
  #counted = 0;

  constructor(context: DataContext, pool: Pool, method: string) {
    this.#context = context;
    this.#pool = pool;
    this.#method = method;
  }

  /** What follows: see retry-decision.ts. */
  decide(event: AttemptFailed | AttemptLate, situation: Situation): RetryAction {
    const { random, deadlines } = this.#context;
    const { retryBudget, counters } = this.#pool;
    const { retries, isReplayable, hasHedge, isAnyLeft, totalDeadlineMs } = situation;
    const attempts = this.#counted + 1;
    // An idle connection waits for nobody.
    const isShort = event.kind === 'failed' && ERRORS[event.code].retry === 'if-idle';
    this.pauseMs = isShort ? 0 : backoffMs(attempts, retries, random());
    const { action, reason } = decide(event, {
      retries,
      method: this.#method,
      isReplayable,
      attempts,
      races: this.races,
      hasHedge,
      isAnyLeft,
      hasBudget: retryBudget.has(retries.budgetPercent),
      pauseMs: this.pauseMs,
      msLeft: totalDeadlineMs - deadlines.now(),
    });
    this.isForIdle = reason === 'a connection is idle';
    if (event.kind === 'failed' && reason === 'budget is spent') counters.retryRefused();
    this.action = action;
    this.reason = reason;
    return action;
  }

  /** Another attempt has begun in the place of one at `backend`. @param records of all that have ended */
  isFollowed({ counters }: Backend, records: readonly AttemptRecord[]): void {
    if (this.isRace || this.isForIdle) return;
    counters.attemptRetried(records.at(-1)?.outcome ?? '');
  }

  /** The budget pays for the next attempt; not for what is short on our side. */
  pay(): void {
    if (!this.isForIdle) this.#pool.retryBudget.withdraw();
  }

  /** There is no further attempt. @param records of all there were */
  gaveUp(records: readonly AttemptRecord[]): void {
    const failure = records.at(-1)?.failure ?? null;
    if (failure !== null) failure.noRetry = this.reason;
  }

  /** The next attempt is on its way. */
  begun(): void {
    this.isRace = false;
    this.isForIdle = false;
  }

  /** An attempt has failed; that it was for want of something on our side is not held against its backend. */
  failed(backend: Backend, code: ErrorCode): void {
    this.#counted++;
    if (ERRORS[code].retry === 'if-idle') return;
    this.backends = this.backends === null ? [backend] : [...this.backends, backend];
  }

  /** An attempt has lost the keep-alive race. */
  raced(): void {
    this.races++;
    this.isRace = true;
  }
}
