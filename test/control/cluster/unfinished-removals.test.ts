/** Removals whose instance is gone: whoever is left makes them, by a clock of its own. */
import { expect, test } from 'vitest';
import { UnfinishedRemovals } from '../../../src/control/cluster/unfinished-removals.ts';
import { madeTiming } from './made-timing.ts';

/** A clock that goes on when it is told to, 5 s ahead of the one of whoever begins drains. */
function made(finish: () => Promise<void> = async () => {}) {
  const { timing, goTo, timers } = madeTiming();
  const finished: string[] = [];
  const removals = new UnfinishedRemovals({
    timing,
    now: () => timing.now() + 5_000,
    finish(pool, url) {
      finished.push(`${pool} ${url} at ${timing.now()}`);
      return finish();
    },
  });
  return { removals, finished, goTo, timers };
}

const A = { pool: 'web', url: 'http://a', leavesAt: 10_000, drainMs: 10_000 };

test('one that was seen to begin is finished after its time and a while, whatever the clock of the wall says', async () => {
  const { removals, finished, goTo } = made();
  removals.sync([]);
  removals.sync([A]);
  await goTo(14_400);
  // What is told again begins no new time.
  removals.sync([A]);
  expect(finished).toEqual([]);
  await goTo(14_500);
  expect(finished).toEqual(['web http://a at 14500']);
  removals.sync([]);
  await goTo(60_000);
  expect(finished).toHaveLength(1);
});

test('of one that was under way at the start, only the rest is waited for', async () => {
  const { removals, finished, goTo } = made();
  removals.sync([A, { ...A, url: 'http://b', leavesAt: 900_000 }]);
  await goTo(9_500);
  expect(finished).toEqual(['web http://a at 9500']);
  // Never longer than it was to take at all.
  await goTo(14_500);
  expect(finished).toContain('web http://b at 14500');
});

test('what fails is tried again while it is to be removed, and what is wanted back is left alone', async () => {
  const { removals, finished, goTo, timers } = made(() => Promise.reject(new Error('no store')));
  removals.sync([]);
  removals.sync([A]);
  await goTo(14_500);
  await goTo(19_500);
  expect(finished).toHaveLength(2);
  // Begun anew: its time is another one.
  removals.sync([{ ...A, leavesAt: 40_000, drainMs: 20_000 }]);
  await goTo(40_000);
  expect(finished).toHaveLength(2);
  removals.sync([]);
  expect(timers.size).toBe(0);
  removals.sync([A]);
  removals.close();
  expect(timers.size).toBe(0);
});
