/** What operators have changed, as the store has it: read as one value, and written as what differs between two. */

import type { PoolSettings, Settings } from '../../config/settings.ts';
import { parseBackendUrl } from '../../config/values/backend-url.ts';
import { LOCAL_IDS } from '../state/kept-changes.ts';
import {
  changesOf,
  configEntry,
  type OperatorEntry,
  type OperatorState,
  type PoolChanges,
} from '../state/operator-state.ts';
import type { Condition, Write } from './registry-store.ts';
import type { SharedDocument } from './shared-document.ts';
import { type ControlObject, valueOf } from './shared-objects.ts';
import type { Wish, Wishes } from './shared-wishes.ts';
import type { StoreKeys } from './store-keys.ts';

/** A state, and what that of each pool was made of. */
export interface MadeState {
  readonly state: OperatorState;
  readonly pools: ReadonlyMap<string, MadePool>;
}

interface MadePool {
  /** Undefined: there is no such pool for now. */
  readonly settings: PoolSettings | undefined;
  readonly listed: ListedBackends;
  readonly wishes: readonly Wish[];
  readonly changes: PoolChanges;
}

type ListedBackends = NonNullable<ReturnType<SharedDocument['listed']['get']>>;

const NONE_LISTED: ListedBackends = [];
const NO_WISHES: readonly Wish[] = [];

/**
 * @param settings what the document was compiled to: its backends stand in the same order.
 * @param before what was made last: of pools that nothing is different of, it is the same.
 */
export function stateOf(
  wishes: Wishes,
  document: SharedDocument,
  settings: Settings,
  before?: MadeState,
): MadeState {
  const pools = new Map<string, MadePool>();
  const make = (name: string, its: PoolSettings | undefined): void => {
    const listed = document.listed.get(name) ?? NONE_LISTED;
    const wanted = wishes.get(name) ?? NO_WISHES;
    const known = before?.pools.get(name);
    const isKnown = known?.settings === its && known?.listed === listed && known.wishes === wanted;
    const changes = isKnown && known ? known.changes : changesIn(its, listed, wanted);
    pools.set(name, { settings: its, listed, wishes: wanted, changes });
  };
  for (const its of settings.pools) make(its.name, its);
  for (const name of wishes.keys()) if (!pools.has(name)) make(name, undefined);
  const changes = new Map([...pools].map(([name, made]) => [name, made.changes]));
  const state = { nextId: LOCAL_IDS, pools: changes, sessionSecret: undefined, otherSecrets: [] };
  return { state, pools };
}

function changesIn(
  settings: PoolSettings | undefined,
  listed: ListedBackends,
  wishes: readonly Wish[],
): PoolChanges {
  const controls = new Map<string, ControlObject>();
  let strategy: PoolChanges['strategy'];
  for (const one of wishes) {
    if (one.kind === 'control') controls.set(one.object.url, one.object);
    if (one.kind === 'pool-control') strategy = one.object.strategy;
  }
  const entries = new Map<string, OperatorEntry>();
  const put = (entry: OperatorEntry): void => {
    const control = controls.get(entry.url);
    controls.delete(entry.url);
    entries.set(entry.url, control ? controlled(entry, control) : entry);
  };
  for (const [index, { url }] of (settings?.backends ?? []).entries()) {
    put(configEntry(url, listed[index]?.id));
  }
  for (const one of settings === undefined ? NO_WISHES : wishes) {
    if (one.kind !== 'backend') continue;
    const { url, weight, backup: isBackup } = one.object;
    const parsed = parseBackendUrl(url);
    if (!parsed.ok || entries.has(url)) continue;
    const { address } = parsed;
    put({ ...configEntry(url, one.id), source: 'api', address, weight, isBackup });
  }
  // Of those that are found, and of those that are not there for now.
  for (const control of controls.values()) {
    const { url, removed, leaves_at: leavesAt } = control;
    const wasFound = removed === true || leavesAt !== undefined;
    entries.set(url, { ...controlled(configEntry(url, undefined), control), wasFound });
  }
  return { strategy, entries };
}

function controlled(entry: OperatorEntry, control: ControlObject): OperatorEntry {
  const { weight, backup, state, removed, leaves_at: leavesAt } = control;
  if (removed) return { ...entry, id: undefined, isRemoved: true };
  const isLeaving = leavesAt !== undefined;
  return {
    ...entry,
    weight: weight ?? entry.weight,
    isBackup: backup ?? entry.isBackup,
    state: isLeaving ? 'draining' : state,
    isLeaving,
  };
}

/** One change, as it is to be written. */
export interface StateWrites {
  readonly conditions: Condition[];
  readonly writes: Write[];
}

export interface WriteTerms {
  readonly keys: StoreKeys;
  /** Of the object under a key, as it is known; undefined: there is none. */
  readonly revisionOf: (key: string) => number | undefined;
  /** The URL of a backend as its object has it. */
  readonly writtenUrl: (pool: string, id: number) => string | undefined;
  readonly nextId: number;
  readonly writeId: string;
  readonly by: object | undefined;
  /** Of the backend whose drain begins. */
  readonly drainingPool: string | undefined;
  /** How a backend drains whose drain begins. It is written even where nothing else of it is different. */
  readonly drainOf: (pool: string, url: string) => ControlObject['drain'];
  /** What an operator wants of a backend, as its object has it. */
  readonly writtenControl: (pool: string, url: string) => ControlObject | undefined;
}

/** What differs. Each thing that is written rests on what it was before. */
export function writesFor(
  before: OperatorState,
  next: OperatorState,
  terms: WriteTerms,
): StateWrites {
  const change = new StateChange(terms);
  for (const pool of new Set([...before.pools.keys(), ...next.pools.keys()])) {
    const was = changesOf(before, pool);
    const is = changesOf(next, pool);
    if (was === is && terms.drainingPool !== pool) continue;
    if (was.strategy !== is.strategy) change.strategy(pool, is.strategy);
    for (const url of new Set([...was.entries.keys(), ...is.entries.keys()])) {
      const [one, other] = [was.entries.get(url), is.entries.get(url)];
      if (one !== other || terms.drainOf(pool, url)) change.entry(pool, one, other);
    }
  }
  return change;
}

class StateChange implements StateWrites {
  readonly conditions: Condition[] = [];
  readonly writes: Write[] = [];
  readonly #terms: WriteTerms;
  #nextId: number;

  constructor(terms: WriteTerms) {
    this.#terms = terms;
    this.#nextId = terms.nextId;
  }

  strategy(pool: string, strategy: string | undefined): void {
    const { keys, writeId } = this.#terms;
    const key = keys.poolControl(pool);
    if (strategy === undefined) this.#remove(key);
    else this.#put(key, { strategy, write: writeId });
  }

  entry(pool: string, was: OperatorEntry | undefined, is: OperatorEntry | undefined): void {
    const isThere = is !== undefined && !is.isRemoved;
    if (was?.id !== undefined && !isThere) this.#gone(pool, was, was.id, is?.wasFound === true);
    else if (isThere && is.source === 'api' && was?.id === undefined) this.#added(pool, is);
    else if (isThere) this.#changed(pool, was, is);
    else if (was !== undefined) this.#remove(this.#terms.keys.control(pool, was.url));
  }

  #added(pool: string, { url, id: wanted, weight, isBackup, state }: OperatorEntry): void {
    const { keys, writeId, by } = this.#terms;
    // One that comes back has the id that it had.
    const isBack = wanted !== undefined && wanted < this.#nextId;
    const id = isBack ? wanted : this.#nextId++;
    this.#put(keys.ids, { next: this.#nextId });
    const unique = keys.unique(pool, url);
    this.conditions.push({ key: unique, isAbsent: true });
    this.writes.push({ put: unique, value: valueOf({ id }) });
    const object = { url, weight: weight ?? 1, backup: isBackup ?? false, source: 'api' };
    this.#put(keys.backend(pool, id), { ...object, write: writeId });
    const control = keys.control(pool, url);
    if (state === undefined) this.#remove(control);
    else this.#put(control, { url, state, ...(by && { by }), write: writeId });
    // A pool that is taken away meanwhile must not get one.
    this.#rest(keys.pool(pool));
  }

  /** @param isFound also: what is added, and found besides, would be there again. */
  #gone(pool: string, { url }: OperatorEntry, id: number, isFound: boolean): void {
    const { keys, writtenUrl, writeId } = this.#terms;
    const control = keys.control(pool, url);
    if (isFound || id >= LOCAL_IDS) this.#put(control, { url, removed: true, write: writeId });
    else this.#remove(control);
    if (id >= LOCAL_IDS) return;
    const written = writtenUrl(pool, id);
    if (written === undefined) return;
    this.#remove(keys.backend(pool, id));
    this.writes.push({ remove: keys.unique(pool, written) });
  }

  #changed(pool: string, was: OperatorEntry | undefined, is: OperatorEntry): void {
    const { keys, writeId, by, writtenControl, drainOf } = this.#terms;
    const { url, id, weight, isBackup, state, isLeaving, source } = is;
    const isOwn = source === 'api' && id !== undefined && id < LOCAL_IDS;
    if (isOwn && (was?.weight !== weight || was?.isBackup !== isBackup)) {
      const object = { url, weight: weight ?? 1, backup: isBackup ?? false, source };
      this.#put(keys.backend(pool, id), { ...object, write: writeId });
    } else if (id !== undefined && id < LOCAL_IDS) {
      this.#rest(keys.backend(pool, id));
    }
    const written = writtenControl(pool, url);
    const begun = drainOf(pool, url);
    const drain = begun ?? written?.drain;
    const begunOver = begun && begun.since + begun.ms;
    const leavesAt = begunOver ?? written?.leaves_at ?? Date.now();
    const wishes = {
      ...(!isOwn && weight !== undefined && { weight }),
      ...(!isOwn && isBackup !== undefined && { backup: isBackup }),
      ...(state !== undefined && { state }),
      ...(state === 'draining' && drain && { drain }),
      ...(isLeaving && { leaves_at: leavesAt }),
    };
    const key = keys.control(pool, url);
    if (Object.keys(wishes).length === 0) this.#remove(key);
    else this.#put(key, { url, ...wishes, ...(by && { by }), write: writeId });
  }

  /** It must be as it is known, or nothing is written. */
  #rest(key: string): void {
    const revision = this.#terms.revisionOf(key);
    if (this.conditions.some((one) => one.key === key)) return;
    this.conditions.push(revision === undefined ? { key, isAbsent: true } : { key, revision });
  }

  #put(key: string, object: object): void {
    this.#rest(key);
    this.writes.push({ put: key, value: valueOf(object) });
  }

  #remove(key: string): void {
    this.#rest(key);
    if (this.#terms.revisionOf(key) !== undefined) this.writes.push({ remove: key });
  }
}
