/** What of a pool will be something else after a restart: changes of operators that are in force, and kept nowhere. */
import type { StrategyName } from '../../snapshot/snapshot.ts';
import { type Changes, isKept } from './kept-changes.ts';
import { changesOf, describeEntry, type OperatorEntry } from './operator-state.ts';

/** The field names are an interface: see docs. */
export interface UnkeptChange {
  readonly value: 'strategy' | 'backend';
  /** Its URL; null where the change is the pool's. */
  readonly backend: string | null;
  /** The strategy, or what is changed about the backend, in words. */
  readonly now: string;
  readonly after_restart: string;
}

/** @param configured the strategy that the config has. */
export function unkeptChanges(
  { inForce, kept }: Changes,
  pool: string,
  configured: StrategyName,
): UnkeptChange[] {
  if (inForce === kept) return [];
  const now = changesOf(inForce, pool);
  const then = changesOf(kept, pool);
  if (now === then) return [];
  const unkept: UnkeptChange[] = [];
  if (now.strategy !== then.strategy) {
    const [is, willBe] = [now.strategy ?? configured, then.strategy ?? configured];
    unkept.push({ value: 'strategy', backend: null, now: is, after_restart: willBe });
  }
  for (const url of new Set([...now.entries.keys(), ...then.entries.keys()])) {
    if (isKept({ inForce, kept }, pool, url)) continue;
    const [is, willBe] = [inWords(now.entries.get(url)), inWords(then.entries.get(url))];
    unkept.push({ value: 'backend', backend: url, now: is, after_restart: willBe });
  }
  return unkept;
}

function inWords(entry: OperatorEntry | undefined): string {
  if (entry === undefined) return 'not there';
  return describeEntry(entry) || 'as the config says';
}
