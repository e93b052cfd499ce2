/**
 * The requests of a data thread that wait for an engine to count them (global-rate-limit.ts), by key: one question of a key is under way
 * at a time, and all that come meanwhile go with the next. None waits longer than `ENGINE_PATIENCE_MS`, whatever the engine, the way to it or the
 * control thread do: then this instance decides alone.
 */

import {
  DECIDE_AFTER_MS,
  LOST_AFTER_MS,
  type RateAnswerMessage,
} from '../../snapshot/counter-engine.ts';
import type { PostToControl } from '../../snapshot/messages.ts';
import type { RateLimit } from '../../snapshot/policies.ts';
import { guarded, type Victim } from '../barrier.ts';
import type { Deadline, Deadlines, Waiting } from '../deadlines.ts';

/** What an engine has answered for a key. */
export interface Counted {
  /** What is left of it, for those who come next. */
  readonly left: number;
  readonly waitMs: number;
  readonly debtMs: number;
}

/** A limit that is asked for: `GlobalRateLimiter`. */
export interface AskingLimiter {
  readonly limit: RateLimit;
  readonly owner: string;
  /** One and the same for all limiters of this limit and owner, of earlier snapshots too. */
  readonly id: string;
  takeAlone(key: string, nowMs: number): number;
  /** How far ahead of its rate a key is, as far as is known here. */
  debtMs(key: string, nowMs: number): number;
  note(key: string, counted: Counted, nowMs: number): void;
}

/** Whoever waits for the answer. */
export interface RateWaiter extends Victim {
  /** False: nobody waits any more. */
  readonly awaitsCount: boolean;
  /** @param waitMs as `GlobalRateLimiter.takeAlone` answers. */
  onCounted(waitMs: number): void;
}

class Pending {
  readonly limiter: AskingLimiter;
  readonly key: string;
  readonly waiters: { readonly waiter: RateWaiter; readonly sinceMs: number }[] = [];
  /** When it was; −Infinity: nothing is under way. */
  askedMs = Number.NEGATIVE_INFINITY;
  deadline: Deadline | null = null;

  constructor(limiter: AskingLimiter, key: string) {
    this.limiter = limiter;
    this.key = key;
  }
}

export class RateAsks {
  /** The control thread says that asking is of no use. */
  isEngineDown = false;
  readonly #deadlines: Pick<Deadlines, 'now' | 'set' | 'callOff'>;
  readonly #processNowMs: () => number;
  readonly #post: PostToControl;
  readonly #pending = new Map<string, Pending>();

  constructor(
    deadlines: Pick<Deadlines, 'now' | 'set' | 'callOff'>,
    processNowMs: () => number,
    post: PostToControl,
  ) {
    this.#deadlines = deadlines;
    this.#processNowMs = processNowMs;
    this.#post = post;
  }

  /** Tells `waiter` later, and within `ENGINE_PATIENCE_MS`. */
  wait(limiter: AskingLimiter, key: string, waiter: RateWaiter): void {
    const pending = this.#of(limiter, key);
    pending.waiters.push({ waiter, sinceMs: this.#deadlines.now() });
    if (pending.deadline === null) this.#setDeadline(pending);
    this.#ask(pending);
  }

  /** Nobody waits yet, but there is little left. */
  askAhead(limiter: AskingLimiter, key: string): void {
    this.#ask(this.#of(limiter, key));
  }

  answered(answer: RateAnswerMessage): void {
    const { owner, limit, key, outcome, granted, waitMs, debtMs } = answer;
    if (outcome === 'down') this.isEngineDown = true;
    const pending = this.#pending.get(idOf(`${owner} ${JSON.stringify(limit)}`, key));
    if (pending === undefined) return;
    pending.askedMs = Number.NEGATIVE_INFINITY;
    const { limiter, waiters } = pending;
    if (outcome !== 'counted') {
      this.#decideAlone(pending, Number.POSITIVE_INFINITY);
      return;
    }
    const served: RateWaiter[] = [];
    while (served.length < granted && waiters.length > 0) {
      const { waiter } = waiters.shift() as Pending['waiters'][number];
      if (waiter.awaitsCount) served.push(waiter);
    }
    const left = granted - served.length;
    limiter.note(key, { left, waitMs, debtMs }, this.#processNowMs());
    const refused = waitMs > 0 ? waiters.splice(0) : [];
    if (waiters.length > 0) this.#ask(pending);
    else this.#forget(pending);
    // They may come back at once with the next request.
    for (const waiter of served) tell(waiter, 0);
    for (const { waiter } of refused) tell(waiter, waitMs);
  }

  #of(limiter: AskingLimiter, key: string): Pending {
    const id = idOf(limiter.id, key);
    const known = this.#pending.get(id);
    if (known !== undefined) return known;
    const pending = new Pending(limiter, key);
    this.#pending.set(id, pending);
    return pending;
  }

  #ask(pending: Pending): void {
    const nowMs = this.#deadlines.now();
    if (nowMs - pending.askedMs < LOST_AFTER_MS) return;
    pending.askedMs = nowMs;
    const { limiter, key, waiters } = pending;
    const { owner, limit } = limiter;
    const debtMs = limiter.debtMs(key, this.#processNowMs());
    this.#post({ kind: 'rate-ask', owner, limit, key, waiting: waiters.length, debtMs });
  }

  #setDeadline(pending: Pending): void {
    const [first] = pending.waiters;
    if (first === undefined) return;
    const waiting: Waiting = {
      onDue: () => {
        pending.deadline = null;
        this.#decideAlone(pending, this.#deadlines.now() - DECIDE_AFTER_MS);
      },
    };
    pending.deadline = this.#deadlines.set(first.sinceMs + DECIDE_AFTER_MS, waiting);
  }

  /** Of those who have come by then. */
  #decideAlone(pending: Pending, untilMs: number): void {
    const { limiter, key, waiters } = pending;
    const due: RateWaiter[] = [];
    while (waiters.length > 0 && (waiters[0] as Pending['waiters'][number]).sinceMs <= untilMs) {
      due.push((waiters.shift() as Pending['waiters'][number]).waiter);
    }
    const isAsked = pending.askedMs !== Number.NEGATIVE_INFINITY;
    if (waiters.length === 0 && !isAsked) this.#forget(pending);
    else if (pending.deadline === null) this.#setDeadline(pending);
    for (const waiter of due) {
      if (waiter.awaitsCount) tell(waiter, limiter.takeAlone(key, this.#processNowMs()));
    }
  }

  #forget(pending: Pending): void {
    this.#pending.delete(idOf(pending.limiter.id, pending.key));
    if (pending.deadline !== null) this.#deadlines.callOff(pending.deadline);
    pending.deadline = null;
  }
}

function idOf(limiterId: string, key: string): string {
  return `${limiterId} ${key}`;
}

function tell(waiter: RateWaiter, waitMs: number): void {
  guarded(waiter, () => waiter.onCounted(waitMs));
}
