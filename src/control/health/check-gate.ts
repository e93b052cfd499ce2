/**
 * Lets so many checks run at a time: those of a start and of a reload, which would all begin in the same moment. Later ones
 * are spread by their timers. A check that has waited a second for its answer no longer counts, so that a rack that is off
 * does not keep the others from being checked.
 */
const MOST_AT_A_TIME = 50;
const PLACE_MS = 1000;

export class CheckGate {
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** Begins it at once if there is a place, else when there is one. A check ends when its promise does. */
  async pass(check: () => Promise<void>): Promise<void> {
    if (this.#running < MOST_AT_A_TIME) this.#running++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let hasLeft = false;
    const leave = (): void => {
      clearTimeout(timer);
      if (!hasLeft) this.#leave();
      hasLeft = true;
    };
    const timer = setTimeout(leave, PLACE_MS);
    await check().finally(leave);
  }

  /** The place goes to whoever has waited longest. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running--;
    else next();
  }
}
