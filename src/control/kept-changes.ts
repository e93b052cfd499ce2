/**
 * What is kept of operators' changes, beside what is in force: changes may be made that a restart forgets.
 *
 * A change that is to be kept is made to both values, one that is not to the first alone. So no later save writes what was not
 * to be kept, and what is kept later is kept whatever is in force. As long as there was none, both are the same value.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  changesOf,
  fitToConfig,
  type ListedPool,
  type OperatorEntry,
  type OperatorState,
  type PoolChanges,
} from './operator-state.ts';

export interface Changes {
  readonly inForce: OperatorState;
  readonly kept: OperatorState;
}

export function makeChange(
  { inForce, kept }: Changes,
  change: (state: OperatorState) => OperatorState,
): Changes {
  const next = change(inForce);
  return { inForce: next, kept: kept === inForce ? next : change(kept) };
}

/**
 * Both, fitted to the pools and URLs that the config lists now. They have the same ids, as far as they have the same backends, so
 * that a restart changes none; and no id stands for two backends, whichever of the two is looked at.
 */
export function fitChanges({ inForce, kept }: Changes, listed: readonly ListedPool[]): Changes {
  const fitted = fitToConfig(inForce, listed);
  if (kept === inForce) return { inForce: fitted, kept: fitted };
  const fittedKept = fitToConfig({ ...kept, nextId: fitted.nextId }, listed);
  const { nextId } = fittedKept;
  const pools = new Map<string, PoolChanges>();
  for (const [name, changes] of fittedKept.pools) {
    const now = changesOf(fitted, name).entries;
    const entries = new Map<string, OperatorEntry>();
    for (const entry of changes.entries.values()) {
      const sharedId = entry.id === undefined ? undefined : now.get(entry.url)?.id;
      entries.set(entry.url, { ...entry, id: sharedId ?? entry.id });
    }
    pools.set(name, { ...changes, entries });
  }
  return { inForce: { ...fitted, nextId }, kept: { ...fittedKept, pools } };
}

/** Whether a restart leaves this backend of a pool as it is: also its being there, or not. */
export function isKept({ inForce, kept }: Changes, pool: string, url: string): boolean {
  const now = changesOf(inForce, pool).entries.get(url);
  const then = changesOf(kept, pool).entries.get(url);
  if (now === then) return true;
  if (now === undefined || then === undefined) return false;
  return isDeepStrictEqual({ ...now, id: 0 }, { ...then, id: 0 });
}
