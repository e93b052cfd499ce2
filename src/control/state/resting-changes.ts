/**
 * Changes of operators to what the config does not have for now: to a pool, or to a backend in a pool. They are in force again
 * when it comes back, and count until then; but no other call gets at them.
 */
import {
  changesOf,
  describeEntry,
  inPool,
  isChange,
  type OperatorState,
  withEntry,
} from './operator-state.ts';
import type { OverrideChoice } from './overrides.ts';

/** The field names are an interface, and those of `Override`: see docs. */
export interface RestingChange {
  readonly pool: string;
  readonly value: 'strategy' | 'backend';
  /** Its URL; null where the change is the pool's. */
  readonly backend: string | null;
  /** The strategy, or what was changed about the backend, in words. */
  readonly api: string;
  /** The config does not have it. */
  readonly config: null;
}

/**
 * @param isThere whether the config has a pool of this name
 * @param isFound whether a source tells of this backend of it now: then it does not rest that somebody has removed it
 */
export function restingChanges(
  { pools }: OperatorState,
  isThere: (pool: string) => boolean,
  isFound: (pool: string, url: string) => boolean,
): RestingChange[] {
  const found: RestingChange[] = [];
  for (const [pool, { strategy, entries }] of pools) {
    if (strategy !== undefined && !isThere(pool)) {
      found.push({ pool, value: 'strategy', backend: null, api: strategy, config: null });
    }
    for (const entry of entries.values()) {
      if (entry.id !== undefined || !isChange(entry)) continue;
      if (entry.isRemoved && (!entry.wasFound || isFound(pool, entry.url))) continue;
      const api = describeEntry(entry);
      found.push({ pool, value: 'backend', backend: entry.url, api, config: null });
    }
  }
  return found;
}

/** Only by the name of its pool: it may be meant to rest. */
export function isRestingChosen(
  { pool, value }: RestingChange,
  { pool: wanted, value: wantedValue, backend }: OverrideChoice,
): boolean {
  return wanted === pool && backend === undefined && (wantedValue ?? value) === value;
}

export function withoutResting(
  state: OperatorState,
  resting: readonly RestingChange[],
): OperatorState {
  return resting.reduce((rest, { pool, backend }) => {
    const next = inPool(rest, pool, (changes) =>
      backend === null
        ? { ...changes, strategy: undefined }
        : withEntry(changes, backend, undefined),
    );
    const { strategy, entries } = changesOf(next, pool);
    if (strategy !== undefined || entries.size > 0) return next;
    const pools = new Map(next.pools);
    pools.delete(pool);
    return { ...next, pools };
  }, state);
}
