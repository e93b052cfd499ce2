/**
 * Which version of which object an instance runs on. What is not valid keeps the version before, or is left out where there was
 * none: one mistake costs the object that it is in, and is reported.
 */
import type { LoadResult } from '../../config/load.ts';
import type { SharedConfig } from '../../config/shared-config.ts';
import { ObjectMap } from './object-map.ts';
import type { StoredObject } from './registry-store.ts';
import { documentOf, type SharedDocument } from './shared-document.ts';
import { type Understood, understand } from './shared-objects.ts';
import {
  isOfDocument,
  type ObjectChange,
  type Wishes,
  wishesAfter,
  wishesIn,
} from './shared-wishes.ts';
import type { StoreKeys } from './store-keys.ts';

export type Loaded = Extract<LoadResult, { ok: true }>;
export type LoadShared = (shared: SharedConfig) => LoadResult;

/** Why an object is not run on as it is in the store. */
export interface Refusal {
  readonly key: string;
  readonly reason: string;
}

export interface Accepted {
  /** What is run on, by key: also what lies below `cfg/` and is no part of the document. */
  readonly objects: ReadonlyMap<string, StoredObject>;
  /** The objects that the document is made of. */
  readonly described: ReadonlySet<Understood>;
  readonly wishes: Wishes;
  readonly document: SharedDocument;
  readonly loaded: Loaded;
  readonly refusals: readonly Refusal[];
}

/** A mistake in many objects is found in as many rounds as one leads to another; then all stays as it was. */
const MOST_ROUNDS = 12;

/** @param before what is run on. @returns undefined where nothing of it can be run on, and nothing was. */
export function accept(
  wanted: ReadonlyMap<string, StoredObject>,
  before: Accepted | undefined,
  keys: StoreKeys,
  load: LoadShared,
): Accepted | undefined {
  const quickly = before && acceptWishes(wanted, before, keys);
  if (quickly !== undefined) return quickly;
  const refusals = new Map<string, string>();
  const objects = new Map<string, StoredObject>();
  for (const [key, object] of wanted) {
    const usable = usableVersion(object, before?.objects.get(key), keys, refusals);
    if (usable !== undefined) objects.set(key, usable);
  }
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const understood = [...objects.values()].map((object) => understand(object, keys));
    const described = new Set(understood.filter(isOfDocument));
    const wishes = wishesIn(understood);
    if (before !== undefined && hasSame(described, before.described)) {
      return { ...before, objects, wishes, refusals: listOf(refusals) };
    }
    const document = documentOf(understood);
    const loaded = load(document.config);
    if (loaded.ok) {
      return { objects, described, wishes, document, loaded, refusals: listOf(refusals) };
    }
    let isAnyBlamed = false;
    for (const { path, message } of loaded.problems) {
      const key = document.keyAt(path);
      if (key === undefined) continue;
      isAnyBlamed = refuse(key, `${path}: ${message}`, objects, before, refusals) || isAnyBlamed;
    }
    if (!isAnyBlamed) {
      const [first] = loaded.problems;
      refusals.set(keys.cfg, `${first?.path ?? ''}: ${first?.message ?? 'is wrong'}`);
      break;
    }
  }
  if (before === undefined) return undefined;
  const reason = 'what belongs together is wrong: nothing was changed';
  if (refusals.size === 0) refusals.set(keys.cfg, reason);
  return { ...before, refusals: listOf(refusals) };
}

/**
 * As `accept`, where nothing is different but what operators want, and all of it is valid: what costs a full round of checks stays as it was.
 * Undefined: that is not so.
 */
function acceptWishes(
  wanted: ReadonlyMap<string, StoredObject>,
  before: Accepted,
  keys: StoreKeys,
): Accepted | undefined {
  if (before.refusals.length > 0) return undefined;
  const changes: ObjectChange[] = [];
  try {
    for (const { was, is } of ObjectMap.differences(before.objects, wanted)) {
      const change = { was: was && understand(was, keys), is: is && understand(is, keys) };
      const isAny = [change.was, change.is].some((one) => one !== undefined && isOfDocument(one));
      if (isAny) return undefined;
      changes.push(change);
    }
  } catch {
    // The full round says what is wrong with it.
    return undefined;
  }
  return { ...before, objects: wanted, wishes: wishesAfter(before.wishes, changes) };
}

function usableVersion(
  object: StoredObject,
  before: StoredObject | undefined,
  keys: StoreKeys,
  refusals: Map<string, string>,
): StoredObject | undefined {
  try {
    understand(object, keys);
    return object;
  } catch (error) {
    refusals.set(object.key, (error as Error).message);
    return before;
  }
}

/** The version before takes its place; where that is the one that is wrong, what was taken away comes back; else it goes. */
function refuse(
  key: string,
  reason: string,
  objects: Map<string, StoredObject>,
  before: Accepted | undefined,
  refusals: Map<string, string>,
): boolean {
  const now = objects.get(key);
  if (now === undefined) return false;
  const known = before?.objects.get(key);
  if (known !== undefined && known !== now) {
    objects.set(key, known);
    refusals.set(key, reason);
    return true;
  }
  const taken = [...(before?.objects ?? [])].filter(([one]) => !objects.has(one));
  const isMissed = known !== undefined && taken.some(([one]) => !refusals.has(one));
  if (isMissed) {
    for (const [one, object] of taken) {
      objects.set(one, object);
      refusals.set(one, `was taken away, and ${key} needs it (${reason})`);
    }
    return true;
  }
  objects.delete(key);
  refusals.set(key, reason);
  return true;
}

function hasSame(now: ReadonlySet<Understood>, then: ReadonlySet<Understood>): boolean {
  if (now.size !== then.size) return false;
  for (const one of now) if (!then.has(one)) return false;
  return true;
}

function listOf(refusals: ReadonlyMap<string, string>): Refusal[] {
  return [...refusals].map(([key, reason]) => ({ key, reason }));
}
