/**
 * What operators changed through the admin API, as one immutable value that is laid over the config.
 *
 * Every change makes a new value; the registry derives its backends from `settings × OperatorState`. That is what
 * makes "save first, then apply" simple: a change that could not be saved is a value that nobody ever used.
 *
 * An entry's `id` is defined exactly while the backend is in the registry. A URL that left and comes back gets a new
 * id, unless an operator wants it back as what it was: then the requests that the data plane may still be finishing there are its own.
 */

import type { BackendAddress } from '../../config/settings.ts';
import { isSame } from '../../config/values/same.ts';
import type { StrategyName } from '../../snapshot/snapshot.ts';
import { type AdminState } from '../operator-words.ts';

export type BackendSource = 'config' | 'api';

/** How a backend came to be there: also found by a name, which is in no state. */
export type BackendOrigin = BackendSource | 'discovery';

export interface OperatorEntry {
  /** Normalised; the key of the entry. */
  readonly url: string;
  readonly id: number | undefined;
  /** `api`: the backend exists because an operator added it. `config`: it exists while the config lists it. */
  readonly source: BackendSource;
  /** Set where `source` is `api`; the address of a config backend comes from the config. */
  readonly address: BackendAddress | undefined;
  /** Undefined: as the config says. Always set where `source` is `api`. */
  readonly weight: number | undefined;
  /** Undefined: as the config says. Always set where `source` is `api`. */
  readonly isBackup: boolean | undefined;
  /** Undefined: enabled. */
  readonly state: AdminState | undefined;
  /** The config lists it, or it was found, and an operator removed it. */
  readonly isRemoved: boolean;
  /** Draining, and to be removed when it is done: after a restart it is gone. */
  readonly isLeaving: boolean;
  /** Of one that is removed or leaving: it was found then, and not listed. So its removal holds also while it is not found. */
  readonly wasFound: boolean;
}

/** What is changed about one pool. */
export interface PoolChanges {
  /** Undefined: as the config says. */
  readonly strategy: StrategyName | undefined;
  /** By URL. */
  readonly entries: ReadonlyMap<string, OperatorEntry>;
}

export interface OperatorState {
  /** Ids of backends count over all pools. */
  readonly nextId: number;
  /** By name. */
  readonly pools: ReadonlyMap<string, PoolChanges>;
  /** Signs session cookies where the config names no secret; undefined while none is needed. No operator's change. */
  readonly sessionSecret: string | undefined;
  /** Session cookies are good under these as well: while instances change from one secret to the next. Kept in no file. */
  readonly otherSecrets: readonly string[];
}

const NO_POOL_CHANGES: PoolChanges = { strategy: undefined, entries: new Map() };

export const NO_OPERATOR_STATE: OperatorState = {
  nextId: 0,
  pools: new Map(),
  sessionSecret: undefined,
  otherSecrets: [],
};

/** Whether the entry says anything beyond "this config backend has this id". */
export function isChange(entry: OperatorEntry): boolean {
  return (
    entry.source === 'api' ||
    entry.isRemoved ||
    entry.weight !== undefined ||
    entry.isBackup !== undefined ||
    entry.state !== undefined
  );
}

/** `added, weight 3`; empty for a backend of the config that nothing was changed about. */
export function describeEntry(entry: OperatorEntry): string {
  const { source, isRemoved, isLeaving, weight, isBackup, state } = entry;
  const words: string[] = [];
  if (source === 'api') words.push('added');
  if (isRemoved) words.push('removed');
  if (isLeaving) words.push('leaving');
  if (weight !== undefined) words.push(`weight ${weight}`);
  if (isBackup !== undefined && !(source === 'api' && !isBackup)) {
    words.push(isBackup ? 'backup' : 'no backup');
  }
  if (state !== undefined) words.push(state);
  return words.join(', ');
}

/** How many changes of operators this value holds over the config. */
export function countChanges({ pools }: OperatorState): number {
  let changes = 0;
  for (const { strategy, entries } of pools.values()) {
    if (strategy !== undefined) changes++;
    for (const entry of entries.values()) if (isChange(entry)) changes++;
  }
  return changes;
}

export function changesOf({ pools }: OperatorState, pool: string): PoolChanges {
  return pools.get(pool) ?? NO_POOL_CHANGES;
}

/** The same state, with this change made to one pool. */
export function inPool(
  state: OperatorState,
  pool: string,
  change: (changes: PoolChanges) => PoolChanges,
): OperatorState {
  const before = changesOf(state, pool);
  const after = change(before);
  if (after === before) return state;
  return { ...state, pools: new Map(state.pools).set(pool, after) };
}

/** Replaces (or with `undefined` drops) the entry of one URL. */
export function withEntry(
  changes: PoolChanges,
  url: string,
  entry: OperatorEntry | undefined,
): PoolChanges {
  const entries = new Map(changes.entries);
  if (entry === undefined) entries.delete(url);
  else entries.set(url, entry);
  return { ...changes, entries };
}

/** The same state. What it says as the one before does, of a pool or of all, is the same object. */
export function stateAsBefore(before: OperatorState, now: OperatorState): OperatorState {
  const pools = new Map<string, PoolChanges>();
  let isAll = before.pools.size === now.pools.size;
  for (const [name, changes] of now.pools) {
    const was = before.pools.get(name);
    const isSameOfPool = was !== undefined && isSameOf(was, changes);
    pools.set(name, isSameOfPool ? was : changes);
    isAll &&= isSameOfPool;
  }
  isAll &&=
    before.nextId === now.nextId &&
    before.sessionSecret === now.sessionSecret &&
    isSame(before.otherSecrets, now.otherSecrets);
  const otherSecrets = isSame(before.otherSecrets, now.otherSecrets)
    ? before.otherSecrets
    : now.otherSecrets;
  return isAll ? before : { ...now, otherSecrets, pools };
}

function isSameOf(before: PoolChanges, now: PoolChanges): boolean {
  if (before === now) return true;
  if (before.strategy !== now.strategy || before.entries.size !== now.entries.size) return false;
  for (const [url, entry] of now.entries) if (!isSame(before.entries.get(url), entry)) return false;
  return true;
}

/** A pool of the config, and the URLs that it lists. */
export interface ListedPool {
  readonly name: string;
  readonly urls: readonly string[];
}

/**
 * Fits the state to the pools that the config lists now, and to their URLs: new ones get ids in their order, entries of URLs that
 * are no longer listed lose their id, and are forgotten unless an operator changed something about them. A removal, also one that
 * is under way, is over when the config no longer lists the URL: whoever lists it again later wants it back. Not so that of one that was
 * found: nobody has asked for it again when a source tells of it again. Of a pool that is
 * no longer listed, backends that were added are not there either, until it comes back.
 */
export function fitToConfig(state: OperatorState, listed: readonly ListedPool[]): OperatorState {
  const pools = new Map<string, PoolChanges>();
  let { nextId } = state;
  const takeId = (): number => nextId++;
  for (const { name, urls } of listed) {
    const changes = changesOf(state, name);
    pools.set(name, { ...changes, entries: fitEntries(changes.entries, urls, takeId) });
  }
  for (const [name, changes] of state.pools) {
    if (pools.has(name)) continue;
    const entries = restingEntries(changes.entries);
    if (entries.size > 0 || changes.strategy !== undefined)
      pools.set(name, { ...changes, entries });
  }
  return { ...state, nextId, pools };
}

function fitEntries(
  before: ReadonlyMap<string, OperatorEntry>,
  configUrls: readonly string[],
  takeId: () => number,
): ReadonlyMap<string, OperatorEntry> {
  const listed = new Set(configUrls);
  const entries = new Map<string, OperatorEntry>();
  for (const entry of before.values()) {
    if (entry.source === 'api') entries.set(entry.url, { ...entry, id: entry.id ?? takeId() });
    else if (listed.has(entry.url)) entries.set(entry.url, entry);
    else if (isLasting(entry)) entries.set(entry.url, atRest(entry));
  }
  for (const url of configUrls) {
    const entry = entries.get(url);
    if (entry === undefined) entries.set(url, configEntry(url, takeId()));
    else if (entry.id === undefined && !entry.isRemoved) {
      entries.set(url, { ...entry, id: takeId() });
    }
  }
  return entries;
}

/** Of a pool that is not there. */
function restingEntries(
  before: ReadonlyMap<string, OperatorEntry>,
): ReadonlyMap<string, OperatorEntry> {
  const entries = new Map<string, OperatorEntry>();
  for (const entry of before.values()) {
    if (isLasting(entry)) entries.set(entry.url, atRest(entry));
  }
  return entries;
}

/** It says something that holds again when its URL is listed again. */
function isLasting(entry: OperatorEntry): boolean {
  const isGone = entry.isRemoved || entry.isLeaving;
  return isGone ? entry.wasFound : isChange(entry);
}

/** While its URL is not listed. What was on its way out is out. */
function atRest(entry: OperatorEntry): OperatorEntry {
  if (entry.isLeaving) return removedEntry(entry.url, entry.wasFound);
  return { ...entry, id: undefined };
}

/** Of a backend that the config lists, and about which nothing is changed. */
export function configEntry(url: string, id: number | undefined): OperatorEntry {
  return {
    url,
    id,
    source: 'config',
    address: undefined,
    weight: undefined,
    isBackup: undefined,
    state: undefined,
    isRemoved: false,
    isLeaving: false,
    wasFound: false,
  };
}

/** A backend taken away by an operator, though the config lists it, or a source has found it. */
export function removedEntry(url: string, wasFound: boolean): OperatorEntry {
  return { ...configEntry(url, undefined), isRemoved: true, wasFound };
}

/** What a restart makes of backends that were on their way out: they are gone. */
export function settleLeaving(state: OperatorState): OperatorState {
  const pools = new Map<string, PoolChanges>();
  for (const [name, changes] of state.pools) {
    const entries = new Map<string, OperatorEntry>();
    for (const entry of changes.entries.values()) {
      if (!entry.isLeaving) entries.set(entry.url, entry);
      // An added backend may be in the config as well; the mark keeps the config from bringing it back.
      else entries.set(entry.url, removedEntry(entry.url, entry.wasFound));
    }
    pools.set(name, { ...changes, entries });
  }
  return { ...state, pools };
}
