import { expect, test } from 'vitest';
import { clock, day, moment } from '../../src/dashboard/data/words.ts';

test('a time of another day says which day that was', () => {
  const now = new Date(2026, 4, 17, 9, 30);
  const today = new Date(2026, 4, 17, 0, 0, 1).toISOString();
  const lastNight = new Date(2026, 4, 16, 23, 59, 59).toISOString();
  expect(moment(today, now)).toBe(clock(today));
  expect(moment(lastNight, now)).toBe(`${day(lastNight)} ${clock(lastNight)}`);
});
