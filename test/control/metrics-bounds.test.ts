import { expect, test } from 'vitest';
import type { Backend } from '../../src/control/backend.ts';
import { withinBounds } from '../../src/control/metrics-bounds.ts';
import { MOST_COUNTED_ROUTES, RouteCounts } from '../../src/control/route-counts.ts';

interface FakePool {
  readonly id: number;
  readonly ids: readonly number[];
}

/** Of a backend nothing but its id is looked at. */
const shownOf = (pools: readonly FakePool[]) => {
  const { shown, leftOut } = withinBounds(pools, ({ id, ids }) => ({
    id,
    backends: () => ids.map((one) => ({ id: one }) as Backend),
  }));
  const ids = shown.map(({ running, backends }) => [running.id, backends.map((one) => one.id)]);
  return { ids: new Map(ids as [number, number[]][]), leftOut };
};

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

test('a thousand backends have series, those that came first, whatever pool they are in', () => {
  const late = { id: 0, ids: numbers(900, 1_200) };
  const early = { id: 1, ids: numbers(0, 900) };
  const { ids, leftOut } = shownOf([late, early]);
  expect(ids.get(0)).toEqual(numbers(900, 1_000));
  expect(ids.get(1)).toEqual(numbers(0, 900));
  expect(leftOut).toEqual({ pools: 0, backends: 200 });
  // One leaves: the next in order gets its series, and nobody else loses any.
  const after = shownOf([late, { id: 1, ids: numbers(1, 900) }]);
  expect(after.ids.get(0)).toEqual(numbers(900, 1_001));
  expect(after.leftOut).toEqual({ pools: 0, backends: 199 });
});

test('all have series where there are no more', () => {
  const { ids, leftOut } = shownOf([{ id: 7, ids: numbers(5_000, 6_000) }]);
  expect(ids.get(7)).toHaveLength(1_000);
  expect(leftOut).toEqual({ pools: 0, backends: 0 });
});

test('a thousand pools have series, and the backends of others none', () => {
  const pools = numbers(0, 1_003).map((id) => ({ id, ids: id > 990 ? [id] : [] }));
  const { ids, leftOut } = shownOf(pools.toReversed());
  expect([...ids.keys()].toSorted((one, other) => one - other)).toEqual(numbers(0, 1_000));
  expect(leftOut).toEqual({ pools: 3, backends: 3 });
});

test('routes beyond the bound share one set of counters, and a name keeps its own', () => {
  const counts = new RouteCounts(1);
  const names = numbers(0, MOST_COUNTED_ROUTES + 2).map((index) => `routes.${index}`);
  const sets = names.map((name) => counts.of(name));
  expect(new Set(sets).size).toBe(MOST_COUNTED_ROUTES + 1);
  expect(sets.at(-1)).toBe(sets.at(-2));
  expect(names.map((name) => counts.of(name))).toEqual(sets);
  expect([...counts.all()].map(([name]) => name).at(-1)).toBe('other');
});
