/**
 * Backends that drain before they are removed, at whichever instance that was asked for: it removes them when nothing is in flight there, or at
 * the deadline. Where it has died, or could not write then, another instance does so a little after the deadline. Who is first is decided by the
 * store, like any other change.
 *
 * The deadline is counted from when this process has seen the drain begin, and not by the clock of the instance that began it, which may be
 * another one. Only what was under way when this process was started goes by that clock, and is never given longer than it had.
 */
import type { Timing } from './timing.ts';

/** So long after the deadline, and up to as much more, it is somebody else's turn. */
const GRACE_MS = 3_000;
const AGAIN_MS = 5_000;

export interface UnderWay {
  readonly pool: string;
  readonly url: string;
  /** In ms since the epoch, by the clock of whoever began it. */
  readonly leavesAt: number;
  /** How long it may take; undefined: not known. */
  readonly drainMs: number | undefined;
}

export interface UnfinishedRemovalsOptions {
  readonly timing: Timing;
  /** By the clock of the wall, in ms. */
  readonly now: () => number;
  /** Removes it, if it is still on its way out and this instance does not see to that already. May reject: then it is tried again. */
  readonly finish: (pool: string, url: string) => Promise<void>;
}

interface Watched {
  readonly leavesAt: number;
  callOff: () => void;
}

export class UnfinishedRemovals {
  readonly #options: UnfinishedRemovalsOptions;
  readonly #watched = new Map<string, Watched>();
  #isFirst = true;

  constructor(options: UnfinishedRemovalsOptions) {
    this.#options = options;
  }

  /** @param underWay all of them, as what is run on says. */
  sync(underWay: readonly UnderWay[]): void {
    const left = new Set(this.#watched.keys());
    for (const removal of underWay) {
      const place = `${removal.pool} ${removal.url}`;
      left.delete(place);
      if (this.#watched.get(place)?.leavesAt === removal.leavesAt) continue;
      this.#callOff(place);
      this.#watch(place, removal);
    }
    for (const place of left) this.#callOff(place);
    this.#isFirst = false;
  }

  close(): void {
    for (const place of this.#watched.keys()) this.#callOff(place);
  }

  #watch(place: string, removal: UnderWay): void {
    const { timing, now } = this.#options;
    const { leavesAt, drainMs } = removal;
    const byTheirClockMs = Math.max(0, leavesAt - now());
    const restMs = this.#isFirst
      ? Math.min(byTheirClockMs, drainMs ?? byTheirClockMs)
      : (drainMs ?? byTheirClockMs);
    const watched: Watched = { leavesAt, callOff: () => {} };
    this.#watched.set(place, watched);
    const tryAfter = (ms: number): void => {
      watched.callOff = timing.after(ms, () => void attempt());
    };
    const attempt = async (): Promise<void> => {
      // What comes of it is seen in what is run on next.
      await this.#options.finish(removal.pool, removal.url).catch(() => {});
      if (this.#watched.get(place) === watched) tryAfter(AGAIN_MS);
    };
    tryAfter(restMs + GRACE_MS * (1 + timing.random()));
  }

  #callOff(place: string): void {
    this.#watched.get(place)?.callOff();
    this.#watched.delete(place);
  }
}
