/**
 * Leaves what has not changed the same object: what data threads are not sent again (snapshot/snapshot-change.ts), and what nothing is derived
 * from again.
 */

import type { PoolSettings, Settings } from '../config/settings.ts';
import { isSame } from '../config/values/same.ts';

/** What was before, if this says the same. */
export function asBefore<T>(before: T | undefined, now: T): T {
  return before !== undefined && isSame(before, now) ? before : now;
}

/** Each element by the one in its place. */
export function listAsBefore<T>(before: readonly T[] | undefined, now: readonly T[]): readonly T[] {
  if (before === undefined) return now;
  const kept = now.map((one, place) => asBefore(before[place], one));
  const isAll = kept.length === before.length && kept.every((one, place) => one === before[place]);
  return isAll ? before : kept;
}

/** Each field by itself. */
export function fieldsAsBefore<T extends object>(before: T | undefined, now: T): T {
  if (before === undefined) return now;
  const kept = { ...now };
  const keys = Object.keys(now) as (keyof T)[];
  let isAll = keys.length === Object.keys(before).length;
  for (const key of keys) {
    kept[key] = asBefore(before[key], now[key]);
    isAll &&= kept[key] === before[key];
  }
  return isAll ? before : kept;
}

/** Pools by their names, routes by their places. */
export function settingsAsBefore(before: Settings, now: Settings): Settings {
  if (before === now) return before;
  const known = new Map(before.pools.map((pool) => [pool.name, pool]));
  const [first, ...others] = now.pools;
  const poolAsBefore = (pool: PoolSettings): PoolSettings => asBefore(known.get(pool.name), pool);
  const pools = [poolAsBefore(first), ...others.map(poolAsBefore)] as const;
  const routes = listAsBefore(before.routes, now.routes);
  return fieldsAsBefore(before, { ...now, pools, routes });
}
