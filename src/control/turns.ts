/** What is changed here is changed one after the other, in the order in which it was asked for. */
import { HandedOver } from './upgrade/handover.ts';

export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  #isHandedOver = false;

  /** After what is under way, and before what comes later. @throws HandedOver, and what the work throws */
  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => {
      if (this.#isHandedOver) throw new HandedOver();
      return work();
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** What waits for its turn is refused. */
  handOver(): void {
    this.#isHandedOver = true;
  }

  /** Resolves after all that was asked for by now. Never rejects. */
  async over(): Promise<void> {
    await this.#last;
  }
}
