/**
 * Refusals take turns, those of all callers together: many may come at once, and then they are answered one after the other. So
 * whoever is refused in a loop waits, and keeps this thread from no core that a data thread needs. Who is served waits for nobody.
 */
const AT_ONCE = 200;
/**
 * A refusal takes this thread up to half a millisecond, and a data thread that wakes up meanwhile may wait for it: as long as that is less
 * than a hundredth of the time, it is not seen in the p99 of what the proxy forwards.
 */
const EVERY_MS = 50;
/** Longer nobody waits: how many do is bounded by connections.ts. */
const LONGEST_MS = 2_000;

/** Of calls that were not looked at any further: who called, how often, what was sent. */
const STATUSES: ReadonlySet<number> = new Set([400, 401, 403, 413, 429]);

export class RefusalTurns {
  readonly #now: () => number;
  /** When the next one has its turn, if as many as may come at once had come before. */
  #turnMs = Number.NEGATIVE_INFINITY;

  /** @param now in ms; never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** @returns how long an answer with this status is held back */
  waitMs(status: number): number {
    if (!STATUSES.has(status)) return 0;
    const nowMs = this.#now();
    const turnMs = Math.max(this.#turnMs, nowMs - AT_ONCE * EVERY_MS) + EVERY_MS;
    this.#turnMs = Math.min(turnMs, nowMs + LONGEST_MS);
    return Math.max(0, this.#turnMs - nowMs);
  }
}
