/** All readers of the events: not more than a few, and none for whom memory grows. */
import type { EventFilter } from './event-filter.ts';
import { EventFollower } from './event-follower.ts';
import type { EventRing } from './event-ring.ts';

export const MOST_FOLLOWERS = 64;
/** Below the half-minute after which the admin API, as proxies do, closes a connection that nothing comes on. */
const TICK_MS = 10_000;

export class EventFollowers {
  readonly #ring: EventRing;
  readonly #tickMs: number;
  readonly #followers = new Set<EventFollower>();
  #stopListening: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(ring: EventRing, tickMs = TICK_MS) {
    this.#ring = ring;
    this.#tickMs = tickMs;
  }

  /** Has a place from now on, and `begin` is to be called whatever becomes of its connection. Undefined: there is no room. */
  admit(since: number | undefined, filter: EventFilter): EventFollower | undefined {
    if (this.#isClosed || this.#followers.size >= MOST_FOLLOWERS) return undefined;
    const follower = new EventFollower(this.#ring, filter, since, () => this.#forget(follower));
    this.#followers.add(follower);
    this.#stopListening ??= this.#ring.listen(() => {
      for (const one of this.#followers) one.pump();
    });
    this.#timer ??= setInterval(() => {
      for (const one of this.#followers) one.tick();
    }, this.#tickMs).unref();
    return follower;
  }

  /** What was written is sent, and nothing more comes. */
  close(): void {
    this.#isClosed = true;
    for (const follower of this.#followers) follower.end();
    this.#followers.clear();
    this.#rest();
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
