/**
 * What operators changed through the admin API, as one immutable value that is laid over the config.
 *
 * Every change makes a new value; the registry derives its backends from `settings × OperatorState`. That is what
 * makes "save first, then apply" simple: a change that could not be saved is a value that nobody ever used.
 *
 * An entry's `id` is defined exactly while the backend is in the registry. A URL that left and comes back gets a new
 * id, because the data plane may still be finishing requests of the old one.
 */
import type { BackendAddress } from '../config/settings.ts';
import type { StrategyName } from '../snapshot/snapshot.ts';

export const ADMIN_STATES = ['enabled', 'draining', 'disabled'] as const;
export type AdminState = (typeof ADMIN_STATES)[number];

export type BackendSource = 'config' | 'api';

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
  /** The config lists it, and an operator removed it. */
  readonly isRemoved: boolean;
  /** Draining, and to be removed when it is done: after a restart it is gone. */
  readonly isLeaving: boolean;
}

export interface OperatorState {
  readonly nextId: number;
  /** Undefined: as the config says. */
  readonly strategy: StrategyName | undefined;
  readonly entries: ReadonlyMap<string, OperatorEntry>;
  /** Signs session cookies where the config names no secret; undefined while none is needed. No operator's change. */
  readonly sessionSecret: string | undefined;
}

export const NO_OPERATOR_STATE: OperatorState = {
  nextId: 0,
  strategy: undefined,
  entries: new Map(),
  sessionSecret: undefined,
};

/** Whether the entry says anything beyond "this config backend has this id". */
function isChange(entry: OperatorEntry): boolean {
  return (
    entry.source === 'api' ||
    entry.isRemoved ||
    entry.weight !== undefined ||
    entry.isBackup !== undefined ||
    entry.state !== undefined
  );
}

/** How many changes of operators this value holds over the config. */
export function countChanges(state: OperatorState): number {
  let changes = state.strategy === undefined ? 0 : 1;
  for (const entry of state.entries.values()) if (isChange(entry)) changes++;
  return changes;
}

/** Replaces (or with `undefined` drops) the entry of one URL. */
export function withEntry(
  state: OperatorState,
  url: string,
  entry: OperatorEntry | undefined,
): OperatorState {
  const entries = new Map(state.entries);
  if (entry === undefined) entries.delete(url);
  else entries.set(url, entry);
  return { ...state, entries };
}

/**
 * Fits the state to the URLs that the config lists now: new ones get ids in their order, entries of URLs that are no
 * longer listed lose their id, and are forgotten unless an operator changed something about them. A removal, also one that
 * is under way, is over when the config no longer lists the URL: whoever lists it again later wants it back.
 */
export function fitToConfig(state: OperatorState, configUrls: readonly string[]): OperatorState {
  const listed = new Set(configUrls);
  const entries = new Map<string, OperatorEntry>();
  let nextId = state.nextId;
  for (const entry of state.entries.values()) {
    if (entry.source === 'api' || listed.has(entry.url)) entries.set(entry.url, entry);
    else if (isChange(entry) && !(entry.isRemoved || entry.isLeaving)) {
      entries.set(entry.url, { ...entry, id: undefined });
    }
  }
  for (const url of configUrls) {
    const entry = entries.get(url);
    if (entry === undefined) entries.set(url, configEntry(url, nextId++));
    else if (entry.id === undefined && !entry.isRemoved) {
      entries.set(url, { ...entry, id: nextId++ });
    }
  }
  return { ...state, nextId, entries };
}

function configEntry(url: string, id: number): OperatorEntry {
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
  };
}

/** A backend taken away by an operator, though the config lists it. */
export function removedEntry(url: string): OperatorEntry {
  return { ...configEntry(url, 0), id: undefined, isRemoved: true };
}

/** What a restart makes of backends that were on their way out: they are gone. */
export function settleLeaving(state: OperatorState): OperatorState {
  const entries = new Map<string, OperatorEntry>();
  for (const entry of state.entries.values()) {
    if (!entry.isLeaving) entries.set(entry.url, entry);
    // An added backend may be in the config as well; the mark keeps the config from bringing it back.
    else entries.set(entry.url, removedEntry(entry.url));
  }
  return { ...state, entries };
}
