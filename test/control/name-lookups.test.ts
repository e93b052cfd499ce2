/** When a name is looked up again, what of an answer is used, and what is said when there is none. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { DnsAnswer } from '../../src/control/discovery/dns-answers.ts';
import { NameLookups } from '../../src/control/discovery/name-lookups.ts';
import { recordLog } from './fixtures.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function lookUp(everyMs: number, answer: () => DnsAnswer) {
  const log = recordLog();
  const taken: (readonly string[])[] = [];
  let asked = 0;
  const lookups = new NameLookups({
    host: 'app.test',
    everyMs,
    log,
    random: () => 0.5,
    resolve: async () => {
      asked++;
      return answer();
    },
    onAddresses: async (addresses) => {
      taken.push(addresses);
    },
  });
  return { lookups, log, taken, asked: () => asked };
}

const ONE: DnsAnswer = { addresses: ['10.0.0.1'], ttlMs: 30_000 };

test.each([
  ['every so long as is said, whatever the answer', 5000, 30_000, 5000],
  ['as the answer holds', 0, 30_000, 30_000],
  ['not more often than each second', 0, 0, 1000],
  ['not less often than each 5 minutes', 0, 86_400_000, 300_000],
  ['each 10 seconds where nobody says', 0, undefined, 10_000],
])('it is asked for again %s', async (_what, everyMs, ttlMs, expectedMs) => {
  const { lookups, asked } = lookUp(everyMs, () => ({ ...ONE, ttlMs }));
  await lookups.start();
  await vi.advanceTimersByTimeAsync(expectedMs - 1);
  expect(asked()).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(asked()).toBe(2);
  lookups.stop();
  await vi.advanceTimersByTimeAsync(1_000_000);
  expect(asked()).toBe(2);
});

test('an answer is in order, each address once, and bounded', async () => {
  const many = Array.from({ length: 300 }, (_, index) => `10.0.${index % 300}.1`);
  const { lookups, taken, log } = lookUp(1000, () => ({
    ...ONE,
    addresses: [...many, ...many].toReversed(),
  }));
  await lookups.start();
  await vi.advanceTimersByTimeAsync(1000);
  expect(taken[0]?.length).toBe(256);
  expect(taken[0]).toEqual([...new Set(many)].toSorted().slice(0, 256));
  expect(taken[1]).toEqual(taken[0]);
  expect(log.events()).toEqual(['discovery.too_many']);
  lookups.stop();
});

test('a failure is told once in a row, changes nothing, and is tried again soon, then less often', async () => {
  let answer: DnsAnswer | undefined;
  const { lookups, taken, log, asked } = lookUp(8000, () => {
    if (answer === undefined) throw new Error('queryA ETIMEOUT app.test');
    return answer;
  });
  await lookups.start();
  // 1, 2, 4, 8 and 8 s later.
  await vi.advanceTimersByTimeAsync(23_000);
  expect(asked()).toBe(6);
  expect(taken).toEqual([]);
  expect(log.events()).toEqual(['discovery.failed']);
  answer = { addresses: [], ttlMs: 1000 };
  await vi.advanceTimersByTimeAsync(8000);
  expect(log.events()).toEqual(['discovery.failed']);
  answer = ONE;
  await vi.advanceTimersByTimeAsync(8000);
  expect(taken).toEqual([ONE.addresses]);
  expect(log.events()).toEqual(['discovery.failed', 'discovery.recovered']);
  lookups.stop();
});

test('an answer that comes behind the end is not used', async () => {
  const held: { give?: (answer: DnsAnswer) => void } = {};
  const taken: unknown[] = [];
  const lookups = new NameLookups({
    host: 'app.test',
    everyMs: 1000,
    log: recordLog(),
    resolve: () =>
      new Promise((resolve) => {
        held.give = resolve;
      }),
    onAddresses: async (addresses) => void taken.push(addresses),
  });
  const started = lookups.start();
  lookups.stop();
  held.give?.(ONE);
  await started;
  expect(taken).toEqual([]);
});
