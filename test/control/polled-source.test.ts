/** When a source is asked again, and what follows a failure. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Answer, PolledSource } from '../../src/control/discovery/polled-source.ts';
import { address } from './fixtures.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const LIST = [{ ...address('http://10.0.0.1'), weight: 1, isBackup: false }];
const ONE: Answer = { list: LIST, ttlMs: 30_000 };

function poll(everyMs: number, answer: () => Answer) {
  const told: unknown[] = [];
  let asked = 0;
  const source = new PolledSource({
    everyMs,
    random: () => 0.5,
    ask: async () => {
      asked++;
      return answer();
    },
    user: {
      onList: async (list) => void told.push(list),
      onFault: (reason) => void told.push(reason),
    },
  });
  return { source, told, asked: () => asked };
}

test.each([
  ['every so long as is said, whatever the answer', 5000, 30_000, 5000],
  ['as the answer holds', 0, 30_000, 30_000],
  ['not more often than each second', 0, 0, 1000],
  ['not less often than each 5 minutes', 0, 86_400_000, 300_000],
  ['each 10 seconds where nobody says', 0, undefined, 10_000],
])('it is asked for again %s', async (_what, everyMs, ttlMs, expectedMs) => {
  const { source, asked } = poll(everyMs, () => ({ ...ONE, ttlMs }));
  source.start();
  await vi.advanceTimersByTimeAsync(expectedMs - 1);
  expect(asked()).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(asked()).toBe(2);
  source.stop();
  await vi.advanceTimersByTimeAsync(1_000_000);
  expect(asked()).toBe(2);
});

test('a failure is told, and tried again soon, then less often', async () => {
  let answer: Answer | undefined;
  const { source, told, asked } = poll(8000, () => {
    if (answer === undefined) throw new Error('queryA ETIMEOUT app.test');
    return answer;
  });
  source.start();
  // 1, 2, 4, 8 and 8 s later.
  await vi.advanceTimersByTimeAsync(23_000);
  expect(asked()).toBe(6);
  expect(told).toEqual(Array.from({ length: 6 }, () => 'queryA ETIMEOUT app.test'));
  answer = ONE;
  await vi.advanceTimersByTimeAsync(8000);
  expect(told.at(-1)).toEqual(LIST);
  source.stop();
});

test('an answer that comes behind the end is not used', async () => {
  const held: { give?: (answer: Answer) => void } = {};
  const told: unknown[] = [];
  const source = new PolledSource({
    everyMs: 1000,
    ask: () =>
      new Promise((resolve) => {
        held.give = resolve;
      }),
    user: { onList: async (list) => void told.push(list), onFault: (why) => void told.push(why) },
  });
  source.start();
  source.stop();
  held.give?.(ONE);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(told).toEqual([]);
});
