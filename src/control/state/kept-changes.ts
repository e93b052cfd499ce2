/**
 * What is kept of operators' changes, beside what is in force: changes may be made that a restart forgets.
 *
 * A change that is to be kept is made to both values, one that is not to the first alone. So no later save writes what was not
 * to be kept, and what is kept later is kept whatever is in force. As long as there was none, both are the same value.
 */
import { isDeepStrictEqual } from 'node:util';
import { makeSessionSecret } from '../session-token.ts';
import {
  changesOf,
  configEntry,
  fitToConfig,
  type ListedPool,
  type OperatorEntry,
  type OperatorState,
  type PoolChanges,
  stateAsBefore,
} from './operator-state.ts';

/** In a cluster, ids below are given by the store, and mean the same backend at all instances; the others are of one process. */
export const LOCAL_IDS = 1_000_000;

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

/** One is made where there is none. */
export function withSessionSecret(changes: Changes): Changes {
  if (changes.inForce.sessionSecret !== undefined) return changes;
  const sessionSecret = makeSessionSecret();
  return makeChange(changes, (state) => ({ ...state, sessionSecret }));
}

/** Whether a restart leaves this backend of a pool as it is: also its being there, or not. */
export function isKept({ inForce, kept }: Changes, pool: string, url: string): boolean {
  const now = changesOf(inForce, pool).entries.get(url);
  const then = changesOf(kept, pool).entries.get(url);
  if (now === then) return true;
  if (now === undefined || then === undefined) return false;
  return isDeepStrictEqual({ ...now, id: 0 }, { ...then, id: 0 });
}

/** Both as they are; what says the same as before is the same object. */
export function changesAsBefore(before: Changes, now: Changes): Changes {
  const inForce = stateAsBefore(before.inForce, now.inForce);
  const kept = now.kept === now.inForce ? inForce : stateAsBefore(before.kept, now.kept);
  return { inForce, kept };
}

/**
 * What is kept is that of a store now. What was not kept stays in force where it still is about a backend that is there, or a
 * strategy; backends that are found keep their ids, which are this process's.
 */
export function withShared({ inForce, kept }: Changes, shared: OperatorState): Changes {
  const nextId = Math.max(inForce.nextId, kept.nextId, shared.nextId);
  const next = { ...shared, nextId, pools: withKnownIds(shared, kept) };
  if (inForce === kept) return { inForce: next, kept: next };
  const pools = new Map<string, PoolChanges>();
  for (const [name, changes] of next.pools) {
    const mine = changesOf(inForce, name);
    const before = changesOf(kept, name);
    const entries = new Map(changes.entries);
    for (const [url, entry] of mine.entries) {
      const then = before.entries.get(url);
      if (isDeepStrictEqual(entry, then)) continue;
      const now = entries.get(url);
      if (now !== undefined)
        entries.set(url, entry.isRemoved ? entry : { ...now, ...ownWishes(entry, then) });
      else if (entry.source === 'api' && !before.entries.has(url)) entries.set(url, entry);
    }
    for (const url of before.entries.keys()) if (!mine.entries.has(url)) entries.delete(url);
    const strategy = mine.strategy === before.strategy ? changes.strategy : mine.strategy;
    pools.set(name, { strategy, entries });
  }
  return { inForce: { ...next, pools }, kept: next };
}

/** What is wanted here alone. The rest is what others want: a drain that they begin, where only the weight is another one here. */
function ownWishes(mine: OperatorEntry, kept: OperatorEntry | undefined): Partial<OperatorEntry> {
  const { weight, isBackup, state, isLeaving, wasFound } = mine;
  const isOwnState = state !== kept?.state || isLeaving !== kept?.isLeaving;
  return {
    ...(weight !== kept?.weight && { weight }),
    ...(isBackup !== kept?.isBackup && { isBackup }),
    ...(isOwnState && { state, isLeaving }),
    wasFound,
  };
}

/** Of backends that no store gives an id. */
function withKnownIds(shared: OperatorState, kept: OperatorState): OperatorState['pools'] {
  const pools = new Map(shared.pools);
  for (const [name, { strategy, entries: all }] of pools) {
    const entries = new Map(all);
    for (const [url, known] of changesOf(kept, name).entries) {
      if (known.id === undefined || known.id < LOCAL_IDS) continue;
      const entry = entries.get(url);
      if (entry === undefined) entries.set(url, asFound(known));
      else if (entry.id === undefined && !entry.isRemoved)
        entries.set(url, { ...entry, id: known.id });
    }
    pools.set(name, { strategy, entries });
  }
  return pools;
}

/** Nothing is changed about it. Where it is found no more, fitting forgets it. */
function asFound({ url, id }: OperatorEntry): OperatorEntry {
  return configEntry(url, id);
}
