/** Says when a certificate begins or ends: of two for the same name, the one that is good is served, and that may be the other one now. */
import type { Certificate } from '../../config/certificates/certificate-facts.ts';

/** The clock may be set, and timers have an end. */
const LOOK_EVERY_MS = 3_600_000;

export class ValidityTurns {
  readonly #all: () => readonly Certificate[];
  readonly #onTurn: () => void;
  #timer: NodeJS.Timeout | undefined;
  #nextMs = Infinity;

  constructor(all: () => readonly Certificate[], onTurn: () => void) {
    this.#all = all;
    this.#onTurn = onTurn;
  }

  /** There may be others than before; what is served has just been worked out. */
  sync(): void {
    const nowMs = Date.now();
    const turns = this.#all().flatMap(({ facts }) => [facts.notBeforeMs, facts.notAfterMs]);
    this.#nextMs = turns.reduce((next, ms) => (ms > nowMs && ms < next ? ms : next), Infinity);
    clearTimeout(this.#timer);
    if (this.#nextMs === Infinity) return;
    this.#timer = setTimeout(() => this.#look(), Math.min(this.#nextMs - nowMs, LOOK_EVERY_MS));
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #look(): void {
    const hasTurned = Date.now() >= this.#nextMs;
    this.sync();
    if (hasTurned) this.#onTurn();
  }
}
