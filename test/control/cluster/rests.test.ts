import { expect, test } from 'vitest';
import { Rests } from '../../../src/control/cluster/rests.ts';

const rests = () => new Rests({ times: 10, owedMs: 100, longestMs: 150 });

test('what comes now and then is followed by no rest', () => {
  const some = rests();
  for (let nowMs = 0; nowMs < 2_000; nowMs += 50) expect(some.after(4, nowMs)).toBe(0);
});

test('of a stream, the first pieces go one after the other, and all of it has a tenth of the time', () => {
  const some = rests();
  let nowMs = 0;
  let worked = 0;
  const first: number[] = [];
  while (nowMs < 10_000) {
    nowMs += 4;
    worked += 4;
    const restMs = some.after(4, nowMs);
    if (first.length < 3) first.push(restMs);
    nowMs += restMs;
  }
  expect(first).toEqual([0, 0, 12]);
  expect(worked / nowMs).toBeGreaterThan(0.09);
  expect(worked / nowMs).toBeLessThan(0.105);
});

test('after one that has taken long, a rest is bounded, and so is what is owed', () => {
  const some = rests();
  expect(some.after(5_000, 5_000)).toBe(150);
  expect(some.after(1, 5_151)).toBe(9);
});
