/**
 * Connections whose bytes are dear (a body in chunks of one byte costs a hundred times a plain one) take turns, one read in each
 * round of the event loop: so however many of them there are, everybody else waits for one of their reads at most.
 */
import { guarded, type Victim } from '../barrier.ts';

export interface TurnTaker extends Victim {
  /** Its turn has come. */
  readOn(): void;
}

export class ReadTurns {
  readonly #waiting: TurnTaker[] = [];
  readonly #next = (): void => this.#giveTurn();

  /** The caller has stopped reading. */
  wait(taker: TurnTaker): void {
    this.#waiting.push(taker);
    if (this.#waiting.length === 1) setImmediate(this.#next);
  }

  #giveTurn(): void {
    const taker = this.#waiting.shift() as TurnTaker;
    if (this.#waiting.length > 0) setImmediate(this.#next);
    guarded(taker, () => taker.readOn());
  }
}
