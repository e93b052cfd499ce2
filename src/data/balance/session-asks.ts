/**
 * The requests of a data thread that wait to hear whose session theirs is (shared-session-table.ts), and what is told without that
 * anybody waits. No request waits for longer than it may, whatever the engine, the way to it or the control thread do: then this
 * instance decides by what it knows.
 */

import { DECIDE_AFTER_MS, LOST_AFTER_MS } from '../../snapshot/counter-engine.ts';
import type { PostToControl } from '../../snapshot/messages.ts';
import type { SessionAnswerMessage, SessionAskMessage } from '../../snapshot/shared-sessions.ts';
import { guarded, type Victim } from '../barrier.ts';
import type { Deadline, Deadlines } from '../deadlines.ts';

/** Null: the engine has not answered. */
type OnSessionAnswer = (value: string | null) => void;

export type SessionQuestion = Omit<SessionAskMessage, 'kind' | 'id'>;

export interface AskedSession extends SessionQuestion {
  /** Before anybody who waits hears of it, and once for all that ask the same. */
  readonly onAnswer: OnSessionAnswer;
}

/** Whoever waits for an answer. */
export interface SessionWaiter extends Victim {
  /** False: nobody waits any more. */
  readonly awaitsSession: boolean;
  /** What could be found out is known by now. */
  onSessionKnown(): void;
}

interface Waiting {
  readonly waiter: SessionWaiter;
  readonly deadline: Deadline;
}

interface Pending {
  readonly askedMs: number;
  readonly onAnswer: OnSessionAnswer;
  /** Nobody waits for what is only told. */
  readonly name: string | null;
  readonly waiting: Set<Waiting>;
}

export class SessionAsks {
  /** The control thread says that asking is of no use. */
  isEngineDown = false;
  readonly #deadlines: Pick<Deadlines, 'now' | 'set' | 'callOff'>;
  readonly #post: PostToControl;
  readonly #pending = new Map<number, Pending>();
  /** By owner and key: who asks the same waits for the same answer. */
  readonly #awaited = new Map<string, Pending>();
  /** At random: what was asked by the thread that this one has replaced is answered here. */
  #ids = Math.floor(Math.random() * 2 ** 40);

  constructor(deadlines: Pick<Deadlines, 'now' | 'set' | 'callOff'>, post: PostToControl) {
    this.#deadlines = deadlines;
    this.#post = post;
  }

  /**
   * @param waitedMs that this request has waited for the engine already.
   * @returns false: there is nothing to wait for.
   */
  wait({ onAnswer, ...question }: AskedSession, waiter: SessionWaiter, waitedMs: number): boolean {
    const mostMs = DECIDE_AFTER_MS - waitedMs;
    if (this.isEngineDown || mostMs <= 0) return false;
    const nowMs = this.#deadlines.now();
    const name = `${question.owner} ${question.key}`;
    const known = this.#awaited.get(name);
    const ageMs = known === undefined ? Number.POSITIVE_INFINITY : nowMs - known.askedMs;
    // Others have waited for it in vain.
    if (ageMs > DECIDE_AFTER_MS && ageMs < LOST_AFTER_MS) return false;
    const pending =
      known !== undefined && ageMs < LOST_AFTER_MS ? known : this.#ask(question, name, onAnswer);
    const waiting: Waiting = {
      waiter,
      deadline: this.#deadlines.set(nowMs + mostMs, {
        onDue: () => {
          pending.waiting.delete(waiting);
          tell(waiter);
        },
      }),
    };
    pending.waiting.add(waiting);
    return true;
  }

  /** Nobody waits for the answer. */
  tell(question: SessionQuestion, onAnswer: OnSessionAnswer): void {
    if (this.isEngineDown) onAnswer(null);
    else this.#ask(question, null, onAnswer);
  }

  answered({ id, outcome, value }: SessionAnswerMessage): void {
    if (outcome === 'down') this.isEngineDown = true;
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    const { name, waiting, onAnswer } = pending;
    if (name !== null && this.#awaited.get(name) === pending) this.#awaited.delete(name);
    onAnswer(outcome === 'answered' ? value : null);
    for (const { waiter, deadline } of waiting) {
      this.#deadlines.callOff(deadline);
      tell(waiter);
    }
  }

  #ask(question: SessionQuestion, name: string | null, onAnswer: OnSessionAnswer): Pending {
    const id = ++this.#ids;
    const askedMs = this.#deadlines.now();
    const pending: Pending = { askedMs, onAnswer, name, waiting: new Set() };
    this.#pending.set(id, pending);
    if (name !== null) this.#awaited.set(name, pending);
    this.#post({ kind: 'session-ask', id, ...question });
    return pending;
  }
}

function tell(waiter: SessionWaiter): void {
  if (waiter.awaitsSession) guarded(waiter, () => waiter.onSessionKnown());
}
