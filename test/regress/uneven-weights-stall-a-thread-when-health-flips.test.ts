/**
 * With a thousand backends of uneven weights, the order of the round robin took 66 ms to be worked out, in each data thread
 * and at each flip of health: nobody was served meanwhile.
 */
import { expect, test } from 'vitest';
import { STRATEGY_NAMES } from '../../src/snapshot/snapshot.ts';
import { candidates, KEY, strategyOf } from '../balance/strategy-cases.ts';
import { slowness } from '../support/machine-speed.ts';

/** Far above what it takes (half a millisecond), far below what it took. */
const MOST_MS = 12;

test.each(STRATEGY_NAMES)('%s: a flip among a thousand backends is over at once', (name) => {
  const all = candidates(...Array.from({ length: 1_000 }, (_, id) => 1 + ((id * id * 31) % 256)));
  const strategy = strategyOf(name, all);
  const slow = slowness();
  // The quickest of many: a busy machine makes some of them slow, an algorithm all.
  let quickest = Number.POSITIVE_INFINITY;
  for (let flip = 0; flip < 40; flip++) {
    const eligible = all.filter(({ id }) => id !== flip);
    const begin = performance.now();
    strategy.rebuild(eligible);
    expect(strategy.pick(KEY, null)).not.toBeNull();
    quickest = Math.min(quickest, performance.now() - begin);
  }
  expect(quickest / slow).toBeLessThan(MOST_MS);
});
