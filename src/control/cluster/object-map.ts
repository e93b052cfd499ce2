/**
 * Objects by their keys, in one part for each folder of keys, and never changed: the next map shares with the one before what is in folders of
 * which nothing is different. So a change costs what its folder holds, and finding it out again too.
 */
import type { Change, StoredObject } from './registry-store.ts';

type Part = ReadonlyMap<string, StoredObject>;
type Parts = ReadonlyMap<string, Part>;

/** Of an object: before, and after. Undefined: there was none, there is none any more. */
export interface Difference {
  readonly was: StoredObject | undefined;
  readonly is: StoredObject | undefined;
}

const NO_PART: Part = new Map();

export class ObjectMap implements ReadonlyMap<string, StoredObject> {
  readonly size: number;
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
    let size = 0;
    for (const part of parts.values()) size += part.size;
    this.size = size;
  }

  /** The same, if it is one already. */
  static of(objects: ReadonlyMap<string, StoredObject>): ObjectMap {
    if (objects instanceof ObjectMap) return objects;
    const parts = new Map<string, Map<string, StoredObject>>();
    for (const [key, object] of objects) {
      const folder = folderOf(key);
      const part = parts.get(folder);
      if (part === undefined) parts.set(folder, new Map([[key, object]]));
      else part.set(key, object);
    }
    return new ObjectMap(parts);
  }

  /** What both have, but for objects that are not the same one in both. */
  static differences(
    before: ReadonlyMap<string, StoredObject>,
    after: ReadonlyMap<string, StoredObject>,
  ): Difference[] {
    const [old, now] = [ObjectMap.of(before).#parts, ObjectMap.of(after).#parts];
    const found: Difference[] = [];
    for (const [folder, part] of now) {
      const known = old.get(folder) ?? NO_PART;
      if (part === known) continue;
      for (const [key, is] of part) {
        const was = known.get(key);
        if (was !== is) found.push({ was, is });
      }
    }
    for (const [folder, part] of old) {
      const known = now.get(folder) ?? NO_PART;
      if (part === known) continue;
      for (const [key, was] of part) if (!known.has(key)) found.push({ was, is: undefined });
    }
    return found;
  }

  /** With these changes, one after the other. */
  with(changes: readonly Change[]): ObjectMap {
    const parts = new Map(this.#parts);
    const copied = new Map<string, Map<string, StoredObject>>();
    for (const { key, object } of changes) {
      const folder = folderOf(key);
      let part = copied.get(folder);
      if (part === undefined) {
        part = new Map(parts.get(folder));
        copied.set(folder, part);
        parts.set(folder, part);
      }
      if (object === undefined) part.delete(key);
      else part.set(key, object);
    }
    for (const [folder, part] of copied) if (part.size === 0) parts.delete(folder);
    return new ObjectMap(parts);
  }

  get(key: string): StoredObject | undefined {
    return this.#parts.get(folderOf(key))?.get(key);
  }

  has(key: string): boolean {
    return this.#parts.get(folderOf(key))?.has(key) === true;
  }

  *entries(): MapIterator<[string, StoredObject]> {
    for (const part of this.#parts.values()) yield* part;
  }

  *keys(): MapIterator<string> {
    for (const part of this.#parts.values()) yield* part.keys();
  }

  *values(): MapIterator<StoredObject> {
    for (const part of this.#parts.values()) yield* part.values();
  }

  [Symbol.iterator](): MapIterator<[string, StoredObject]> {
    return this.entries();
  }

  forEach(
    look: (object: StoredObject, key: string, all: ReadonlyMap<string, StoredObject>) => void,
  ): void {
    for (const [key, object] of this) look(object, key, this);
  }
}

function folderOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/') + 1);
}
