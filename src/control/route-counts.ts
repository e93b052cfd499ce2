/** The shared counters of routes, by name. A name that comes back after a reload goes on where it was. */
import { createRouteCounters } from '../snapshot/route-counters.ts';

/** So many routes have counters of their own; those that come later share one set. */
export const MOST_COUNTED_ROUTES = 1_000;

/** The name of that set. No route has it: they are `default`, or have a number. */
const OTHER_ROUTES = 'other';

export class RouteCounts {
  readonly #threadCount: number;
  readonly #byName = new Map<string, SharedArrayBuffer>();

  constructor(threadCount: number) {
    this.#threadCount = threadCount;
  }

  /** Made when it is first asked for. */
  of(route: string): SharedArrayBuffer {
    const known = this.#byName.get(route);
    if (known !== undefined) return known;
    if (this.#byName.size >= MOST_COUNTED_ROUTES && route !== OTHER_ROUTES) {
      return this.of(OTHER_ROUTES);
    }
    const counters = createRouteCounters(this.#threadCount);
    this.#byName.set(route, counters);
    return counters;
  }

  /** In the order in which they were first asked for. */
  all(): Iterable<readonly [name: string, counters: SharedArrayBuffer]> {
    return this.#byName;
  }
}
