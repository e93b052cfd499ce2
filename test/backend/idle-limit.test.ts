import { expect, test } from 'vitest';
import { IdleLimit } from '../../src/data/backend/idle-limit.ts';

/** Closes, each an age and a moment, in ms. @returns what is known at the end, and after it */
function learned(...closes: readonly (readonly [number, number])[]): number {
  const limit = new IdleLimit();
  for (const [age, at] of closes) limit.closedAfter(age, at);
  return limit.at(closes.at(-1)?.[1] ?? 0);
}

test.each([
  [
    'two of the same age',
    [
      [5_000, 10_000],
      [5_040, 30_000],
    ],
    4_000,
  ],
  [
    'an age that is another one by now',
    [
      [60_000, 1e5],
      [60_900, 2e5],
      [5_000, 3e5],
      [5_001, 4e5],
    ],
    4_000,
  ],
  ['only one', [[5_000, 10_000]], Infinity],
  [
    'two of one moment, as in a restart',
    [
      [5_000, 10_000],
      [5_010, 10_020],
    ],
    Infinity,
  ],
  [
    'two that differ',
    [
      [5_000, 10_000],
      [9_000, 30_000],
    ],
    Infinity,
  ],
  [
    'those that had enough requests',
    [
      [3, 10_000],
      [3, 20_000],
      [4, 30_000],
    ],
    Infinity,
  ],
] as const)('%s', (_what, closes, expected) => {
  expect(learned(...closes)).toBe(expected);
});

test('what was learned is forgotten in the end, and may be learned again', () => {
  const limit = new IdleLimit();
  limit.closedAfter(5_000, 10_000);
  limit.closedAfter(5_000, 20_000);
  expect(limit.at(600_000)).toBe(4_000);
  expect(limit.at(700_000)).toBe(Infinity);
  limit.closedAfter(8_000, 710_000);
  limit.closedAfter(8_000, 720_000);
  expect(limit.at(720_000)).toBe(7_000);
});
