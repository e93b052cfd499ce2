/** Leaves what has not changed the same object, which is what data threads are not sent again: see snapshot/snapshot-change.ts. */
import { isSame } from '../config/same.ts';

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
  let isAll = true;
  for (const key of Object.keys(now) as (keyof T)[]) {
    kept[key] = asBefore(before[key], now[key]);
    isAll &&= kept[key] === before[key];
  }
  return isAll ? before : kept;
}
