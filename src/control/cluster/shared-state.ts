/** What operators have changed, as the store has it: read as one value, and written as what differs between two. */
import { parseBackendUrl } from '../../config/backend-url.ts';
import type { Settings } from '../../config/settings.ts';
import { LOCAL_IDS } from '../state/kept-changes.ts';
import {
  changesOf,
  configEntry,
  type OperatorEntry,
  type OperatorState,
} from '../state/operator-state.ts';
import type { Condition, Write } from './registry-store.ts';
import type { SharedDocument } from './shared-document.ts';
import { type ControlObject, type Understood, valueOf } from './shared-objects.ts';
import type { StoreKeys } from './store-keys.ts';

interface PoolInStore {
  strategy: OperatorState['pools'] extends ReadonlyMap<string, infer Changes>
    ? Changes extends { readonly strategy: infer Strategy }
      ? Strategy
      : never
    : never;
  readonly entries: Map<string, OperatorEntry>;
}

/** @param settings what the document was compiled to: its backends stand in the same order. */
export function stateOf(
  understood: readonly Understood[],
  document: SharedDocument,
  settings: Settings,
): OperatorState {
  const controls = new Map<string, ControlObject>();
  const pools = new Map<string, PoolInStore>();
  for (const { name } of settings.pools)
    pools.set(name, { strategy: undefined, entries: new Map() });
  for (const one of understood) {
    if (one.kind === 'control') controls.set(`${one.pool} ${one.object.url}`, one.object);
    if (one.kind === 'pool-control') inPool(pools, one.pool).strategy = one.object.strategy;
  }
  const put = (pool: string, entry: OperatorEntry): void => {
    const place = `${pool} ${entry.url}`;
    const control = controls.get(place);
    controls.delete(place);
    inPool(pools, pool).entries.set(entry.url, control ? controlled(entry, control) : entry);
  };
  for (const { name, backends } of settings.pools) {
    for (const [index, { url }] of backends.entries()) {
      put(name, configEntry(url, document.listed.get(name)?.[index]?.id));
    }
  }
  for (const one of understood) {
    if (one.kind !== 'backend' || one.object.source !== 'api' || !pools.has(one.pool)) continue;
    const { url, weight, backup: isBackup } = one.object;
    const parsed = parseBackendUrl(url);
    const isListed = inPool(pools, one.pool).entries.has(url);
    if (!parsed.ok || isListed) continue;
    const { address } = parsed;
    put(one.pool, { ...configEntry(url, one.id), source: 'api', address, weight, isBackup });
  }
  // Of those that are found, and of those that are not there for now.
  for (const [place, control] of controls) {
    const pool = place.slice(0, place.indexOf(' '));
    const { entries } = inPool(pools, pool);
    entries.set(control.url, controlled(configEntry(control.url, undefined), control));
  }
  return { nextId: LOCAL_IDS, pools, sessionSecret: undefined, otherSecrets: [] };
}

function inPool(pools: Map<string, PoolInStore>, name: string): PoolInStore {
  const pool = pools.get(name) ?? { strategy: undefined, entries: new Map() };
  pools.set(name, pool);
  return pool;
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
  /** Of the backend that drains from now on. */
  readonly drain: ControlObject['drain'];
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
    if (was.strategy !== is.strategy) change.strategy(pool, is.strategy);
    for (const url of new Set([...was.entries.keys(), ...is.entries.keys()])) {
      const [one, other] = [was.entries.get(url), is.entries.get(url)];
      if (one !== other) change.entry(pool, one, other);
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
    if (was?.id !== undefined && !isThere) this.#gone(pool, was, was.id);
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

  #gone(pool: string, { url }: OperatorEntry, id: number): void {
    const { keys, writtenUrl, writeId } = this.#terms;
    const control = keys.control(pool, url);
    if (id >= LOCAL_IDS) {
      this.#put(control, { url, removed: true, write: writeId });
      return;
    }
    this.#remove(control);
    const written = writtenUrl(pool, id);
    if (written === undefined) return;
    this.#remove(keys.backend(pool, id));
    this.writes.push({ remove: keys.unique(pool, written) });
  }

  #changed(pool: string, was: OperatorEntry | undefined, is: OperatorEntry): void {
    const { keys, writeId, by, writtenControl, drain: begun } = this.#terms;
    const { url, id, weight, isBackup, state, isLeaving, source } = is;
    const isOwn = source === 'api' && id !== undefined && id < LOCAL_IDS;
    if (isOwn && (was?.weight !== weight || was?.isBackup !== isBackup)) {
      const object = { url, weight: weight ?? 1, backup: isBackup ?? false, source };
      this.#put(keys.backend(pool, id), { ...object, write: writeId });
    } else if (id !== undefined && id < LOCAL_IDS) {
      this.#rest(keys.backend(pool, id));
    }
    const written = writtenControl(pool, url);
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
