/** All readers of the events: not more than a few, and none for whom memory grows. */
import type { EventFilter } from './event-filter.ts';
import { EventFollower } from './event-follower.ts';
import type { EventRing } from './event-ring.ts';

export const MOST_FOLLOWERS = 64;
/** Of one token that may only read: one reader's dashboards and scripts, and not all the places there are. */
export const MOST_OF_A_VIEWER = 16;
/** Below the half-minute after which the admin API, as proxies do, closes a connection that nothing comes on. */
const TICK_MS = 10_000;

export class EventFollowers {
  readonly #ring: EventRing;
  readonly #tickMs: number;
  /** With the token of those that may only read; in the order in which they came. */
  readonly #followers = new Map<EventFollower, string | undefined>();
  #stopListening: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(ring: EventRing, tickMs = TICK_MS) {
    this.#ring = ring;
    this.#tickMs = tickMs;
  }

  /**
   * Has a place from now on, and `begin` is to be called whatever becomes of its connection. Undefined: there is no room.
   * @param viewer the token of a reader that may only read; undefined: of an operator, who gets the place of such a one
   */
  admit(
    since: number | undefined,
    filter: EventFilter,
    viewer?: string,
  ): EventFollower | undefined {
    if (this.#isClosed) return undefined;
    if (viewer !== undefined && this.#of(viewer).length >= MOST_OF_A_VIEWER) return undefined;
    if (this.#followers.size >= MOST_FOLLOWERS && (viewer !== undefined || !this.#makeRoom())) {
      return undefined;
    }
    const follower = new EventFollower(this.#ring, filter, since, () => this.#forget(follower));
    this.#followers.set(follower, viewer);
    this.#stopListening ??= this.#ring.listen(() => {
      for (const one of this.#followers.keys()) one.pump();
    });
    this.#timer ??= setInterval(() => {
      for (const one of this.#followers.keys()) one.tick();
    }, this.#tickMs).unref();
    return follower;
  }

  /** What was written is sent, and nothing more comes. */
  close(): void {
    this.#isClosed = true;
    for (const follower of this.#followers.keys()) follower.end();
    this.#followers.clear();
    this.#rest();
  }

  /** The newest of the viewer that has the most goes. @returns whether there is one */
  #makeRoom(): boolean {
    const viewers = new Set([...this.#followers.values()].filter((one) => one !== undefined));
    const [most] = [...viewers].map((one) => this.#of(one)).toSorted((a, b) => b.length - a.length);
    const newest = most?.at(-1);
    if (newest === undefined) return false;
    newest.cut();
    this.#followers.delete(newest);
    return true;
  }

  #of(viewer: string): EventFollower[] {
    return [...this.#followers].flatMap(([one, its]) => (its === viewer ? [one] : []));
  }

  #forget(follower: EventFollower): void {
    this.#followers.delete(follower);
    if (this.#followers.size === 0) this.#rest();
  }

  #rest(): void {
    this.#stopListening?.();
    this.#stopListening = undefined;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
