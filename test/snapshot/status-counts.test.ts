/** Requests by status, in fewer cells than there are statuses. */
import { expect, test } from 'vitest';
import { addStatuses, countStatus, STATUS_CELLS } from '../../src/snapshot/status-counts.ts';

const OFFSET = 3;

function counted(statuses: readonly number[]): Record<number, number> {
  const cells = new Float64Array(OFFSET + STATUS_CELLS + 1);
  for (const status of statuses) countStatus(cells, OFFSET, status);
  // Nothing beside its own cells.
  expect([...cells.subarray(0, OFFSET), cells.at(-1)]).toEqual([0, 0, 0, 0]);
  const found = new Map<number, number>();
  addStatuses(found, cells, OFFSET);
  return Object.fromEntries(found);
}

test('each status that exists counts for itself, and rare ones as well', () => {
  const statuses = [100, 101, 103, 200, 206, 226, 304, 308, 404, 418, 429, 431, 451, 499, 500];
  const more = [502, 503, 504, 511, 520, 530, 599, 299, 460, 561, 598];
  const all = [...statuses, ...more];
  expect(counted([...all, ...all, 200])).toEqual({
    ...Object.fromEntries(all.map((status) => [status, 2])),
    200: 3,
  });
});

test('all above 599 are one', () => {
  expect(counted([600, 700, 999])).toEqual({ 600: 3 });
});

test('of a backend that makes up its statuses, none is lost', () => {
  const statuses = Array.from({ length: 500 }, (_, index) => 100 + index);
  const found = counted([...statuses, ...statuses]);
  expect(Object.values(found).reduce((sum, count) => sum + count, 0)).toBe(1000);
  expect(found[200]).toBe(2);
  expect(found[599]).toBe(2);
  // The first sixteen that have no cell.
  expect(found[104]).toBe(2);
  expect(found[119]).toBe(2);
  expect(found[120]).toBeUndefined();
  expect(found[600]).toBeGreaterThan(700);
});

test('the counts of several threads are one, whichever of them met a status first', () => {
  const cells = new Float64Array(2 * STATUS_CELLS);
  for (const status of [299, 460]) countStatus(cells, 0, status);
  for (const status of [460, 299, 299]) countStatus(cells, STATUS_CELLS, status);
  const found = new Map<number, number>();
  addStatuses(found, cells, 0);
  addStatuses(found, cells, STATUS_CELLS);
  expect(Object.fromEntries(found)).toEqual({ 299: 3, 460: 2 });
});
