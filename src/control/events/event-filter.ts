/** Which events a reader wants. */
import type { KeptEvent } from './event-ring.ts';

export interface EventFilter {
  /** Null: all. */
  readonly names: ReadonlySet<string> | null;
  /** Null: those of all pools, and those that are of none. */
  readonly pools: ReadonlySet<string> | null;
}

export function isWanted({ event, pool }: KeptEvent, { names, pools }: EventFilter): boolean {
  if (names !== null && !names.has(event)) return false;
  return pools === null || (pool !== null && pools.has(pool));
}
