/**
 * What data threads ask an engine for, as few calls: of each key one is under way at a time, which asks for all that wait, and what
 * comes meanwhile is served from its answer, or by the next one.
 */
import type { RateAnswerMessage, RateAskMessage } from '../../snapshot/counter-engine.ts';
import { ENGINE_PATIENCE_MS, reserveOf } from '../../snapshot/counter-engine.ts';
import type { Take, Taken } from './counter-store.ts';

export type Reply = (answer: RateAnswerMessage) => void;

export interface RateCallsOptions {
  /** Rejects where there is no answer; null: it is of no use to ask. */
  readonly take: (asked: Take) => Promise<Taken> | null;
  /** That count together. */
  readonly instances: () => number;
}

interface Ask {
  readonly message: RateAskMessage;
  readonly reply: Reply;
}

/** More keys at once are not asked for: this thread has other work. */
const MOST_CALLS = 512;

export class RateCalls {
  readonly #options: RateCallsOptions;
  readonly #calls = new Map<string, Ask[]>();

  constructor(options: RateCallsOptions) {
    this.#options = options;
  }

  ask(message: RateAskMessage, reply: Reply): void {
    const { owner, limit, key } = message;
    const id = JSON.stringify([owner, limit, key]);
    const ask: Ask = { message, reply };
    const underWay = this.#calls.get(id);
    if (underWay !== undefined) {
      underWay.push(ask);
    } else if (this.#calls.size >= MOST_CALLS) {
      answer(ask, 'failed');
    } else {
      const asks = [ask];
      this.#calls.set(id, asks);
      this.#call(id, asks);
    }
  }

  #call(id: string, asks: Ask[]): void {
    const { message } = asks[0] as Ask;
    const { owner, key, limit } = message;
    const waiting = asks.reduce((sum, ask) => sum + ask.message.waiting, 0);
    const reserve = reserveOf(limit, this.#options.instances());
    const want = Math.min(limit.burst, Math.max(reserve, waiting));
    // Until the engine hears of it some of it is paid off: told in full, each call would take from the client what has passed meanwhile.
    const debtMs = Math.max(
      0,
      Math.max(...asks.map((ask) => ask.message.debtMs)) - ENGINE_PATIENCE_MS,
    );
    const taken = this.#options.take({ owner, key, limit, want, debtMs });
    if (taken === null) {
      this.#calls.delete(id);
      for (const ask of asks) answer(ask, 'down');
      return;
    }
    taken.then(
      (of) => this.#settle(id, asks, of),
      () => {
        this.#calls.delete(id);
        for (const ask of asks) answer(ask, 'failed');
      },
    );
  }

  /** For all that have asked by now, in the order that they came; what is left is for the next requests of the first. */
  #settle(id: string, asks: readonly Ask[], { granted, waitMs, debtMs }: Taken): void {
    const isUsedUp = waitMs > 0;
    const next: Ask[] = [];
    let left = granted;
    const answers = asks.flatMap((ask) => {
      const own = Math.min(left, ask.message.waiting);
      left -= own;
      const getsNone = own === 0 && ask.message.waiting > 0;
      if (getsNone && !isUsedUp) {
        next.push(ask);
        return [];
      }
      return [{ ask, own }];
    });
    if (next.length > 0) {
      this.#calls.set(id, next);
      this.#call(id, next);
    } else {
      this.#calls.delete(id);
    }
    for (const [at, { ask, own }] of answers.entries()) {
      const { owner, limit, key } = ask.message;
      const all = at === 0 ? own + left : own;
      const outcome = 'counted';
      ask.reply({ kind: 'rate-answer', owner, limit, key, outcome, granted: all, waitMs, debtMs });
    }
  }
}

function answer(ask: Ask, outcome: RateAnswerMessage['outcome']): void {
  const { owner, limit, key } = ask.message;
  ask.reply({ kind: 'rate-answer', owner, limit, key, outcome, granted: 0, waitMs: 0, debtMs: 0 });
}
