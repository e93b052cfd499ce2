/**
 * How long a backend keeps a connection that is idle, learned from those that it has closed: where it does not say so itself
 * (`Keep-Alive: timeout=`), a request that comes in that very moment is lost, or has to be sent again.
 *
 * A backend that closes by a timer closes after the same time again and again. One that restarts closes all of them in one
 * moment, whatever their age; one that has had enough requests closes at once. So two closes make a limit that are of about
 * the same age and not of the same moment.
 */

/** Sooner than that, it was no timer that anybody would set. */
const LEAST_MS = 1_500;
/** As those of `Keep-Alive`. */
const MARGIN_MS = 1_000;
/** Closes of one moment. */
const MOMENT_MS = 500;
/** Two ages are the same. */
const TOLERANCE_MS = 250;
const TOLERANCE_SHARE = 0.02;
/** As long as it is not used, nobody knows whether it still holds. */
const FORGOTTEN_MS = 600_000;

export class IdleLimit {
  #ms = Number.POSITIVE_INFINITY;
  #learnedAt = 0;
  /** The age that was seen last, and when; 0: none. */
  #lastAge = 0;
  #lastAt = 0;

  /** How long a connection may be idle; Infinity: nothing is known. @param nowMs on the precise clock */
  at(nowMs: number): number {
    if (this.#ms !== Number.POSITIVE_INFINITY && nowMs - this.#learnedAt > FORGOTTEN_MS) {
      this.#ms = Number.POSITIVE_INFINITY;
    }
    return this.#ms;
  }

  /** The backend has closed a connection that was idle for so long. */
  closedAfter(ageMs: number, nowMs: number): void {
    if (ageMs < LEAST_MS) return;
    const [lastAge, lastAt] = [this.#lastAge, this.#lastAt];
    if (lastAge !== 0 && nowMs - lastAt < MOMENT_MS) return;
    this.#lastAge = ageMs;
    this.#lastAt = nowMs;
    const tolerance = Math.max(TOLERANCE_MS, ageMs * TOLERANCE_SHARE);
    if (lastAge === 0 || Math.abs(ageMs - lastAge) > tolerance) return;
    this.#ms = Math.min(ageMs, lastAge) - MARGIN_MS;
    this.#learnedAt = nowMs;
  }
}
