import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ObjectMap } from '../../../src/control/cluster/object-map.ts';
import type { Change, StoredObject } from '../../../src/control/cluster/registry-store.ts';

const key = fc.constantFrom('a/1', 'a/2', 'a/b/1', 'a/b/2', 'a/b/', 'c/1', 'alone', '/', '');
const change: fc.Arbitrary<Change> = fc
  .record({ key, value: fc.option(fc.constantFrom('x', 'y')) })
  .map(({ key: at, value }) => ({
    key: at,
    object: value === null ? undefined : { key: at, value, revision: 1, createdAt: 1 },
  }));
const changes = fc.array(change, { maxLength: 12 });

/** As a plain map has it. */
function made(all: readonly Change[], on = new Map<string, StoredObject>()): typeof on {
  const objects = new Map(on);
  for (const { key: at, object } of all) {
    if (object === undefined) objects.delete(at);
    else objects.set(at, object);
  }
  return objects;
}

function sorted<T>(entries: Iterable<readonly [string, T]>): (readonly [string, T])[] {
  return [...entries].toSorted(([one], [other]) => (one < other ? -1 : 1));
}

test('holds what a map holds, whatever changes, and leaves the one before as it was', () => {
  fc.assert(
    fc.property(changes, changes, (first, second) => {
      const before = ObjectMap.of(made(first));
      const after = before.with(second);
      const plain = made(second, made(first));
      expect(sorted(after)).toEqual(sorted(plain));
      expect(after.size).toBe(plain.size);
      expect([...after.keys()].toSorted()).toEqual([...plain.keys()].toSorted());
      expect(new Set(after.values())).toEqual(new Set(plain.values()));
      for (const { key: at } of [...first, ...second]) {
        expect(after.get(at)).toBe(plain.get(at));
        expect(after.has(at)).toBe(plain.has(at));
      }
      expect(sorted(before)).toEqual(sorted(made(first)));
    }),
  );
});

test('what two differ in is what differs by the object, whoever has made them', () => {
  fc.assert(
    fc.property(changes, changes, fc.boolean(), (first, second, areKin) => {
      const old = made(first);
      const now = made(second, old);
      const before = ObjectMap.of(old);
      const after = areKin ? before.with(second) : now;
      const wanted = [...new Set([...old.keys(), ...now.keys()])]
        .map((at) => [at, { was: old.get(at), is: now.get(at) }] as const)
        .filter(([, { was, is }]) => was !== is);
      const found = ObjectMap.differences(before, after).map(
        (one) => [(one.is ?? one.was)?.key ?? '', one] as const,
      );
      expect(sorted(found)).toEqual(sorted(wanted));
    }),
  );
});
