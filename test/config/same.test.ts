/** Whether two settings say the same. */
import { expect, test } from 'vitest';
import { isSame } from '../../src/config/values/same.ts';

const make = () => ({ a: [1, { b: null }], c: { d: undefined, e: Number.NaN }, f: new Set([1]) });

test('what is made alike is the same', () => {
  expect(isSame(make(), make())).toBe(true);
});

test.each<[unknown, unknown]>([
  [{ a: 1 }, { a: 2 }],
  [{ a: 1 }, { b: 1 }],
  [{ a: undefined }, {}],
  [{}, { a: undefined }],
  [{ a: undefined }, { b: undefined }],
  [[1, 2], [1]],
  [[1], [2]],
  [[], {}],
  [null, {}],
  [{}, null],
  [undefined, null],
  ['1', 1],
  [new Set([1]), new Set([2])],
  [new Date(1), new Date(2)],
  [new Map(), new Set()],
])('%j is another thing than %j', (a, b) => {
  expect(isSame({ x: [a] }, { x: [b] })).toBe(false);
});
