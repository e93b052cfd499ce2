import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  goesOn,
  percentile,
  percentiles,
  ratesOf,
  statusesOf,
} from '../../src/dashboard/data/rates.ts';
import { DURATION_BUCKETS_SECONDS } from '../../src/snapshot/durations.ts';
import { noTotals, pool } from './totals.ts';

const BOUNDS = DURATION_BUCKETS_SECONDS;
const counts = fc.array(fc.nat(50), {
  minLength: BOUNDS.length + 1,
  maxLength: BOUNDS.length + 1,
});

test('a percentile lies in the bucket that the value is in', () => {
  const durations = fc.array(fc.double({ min: 0.000_1, max: 12, noNaN: true }), { minLength: 1 });
  fc.assert(
    fc.property(durations, fc.constantFrom(0.5, 0.95, 0.99), (values, share) => {
      const bucketOf = (value: number): number => {
        const index = BOUNDS.findIndex((bound) => value <= bound);
        return index === -1 ? BOUNDS.length : index;
      };
      const buckets = [...BOUNDS, 0].map(
        (_, index) => values.filter((value) => bucketOf(value) === index).length,
      );
      const sorted = values.toSorted((one, other) => one - other);
      const value = sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
      const found = percentile(buckets, BOUNDS, share) ?? -1;
      // Above the last bound nothing is known.
      const wanted = Math.min(bucketOf(value), BOUNDS.length);
      expect(bucketOf(found)).toBe(wanted === BOUNDS.length ? BOUNDS.length - 1 : wanted);
    }),
  );
});

test('a higher share is no lower value, and nothing has none', () => {
  fc.assert(
    fc.property(counts, (some) => {
      const { p50, p95, p99 } = percentiles(some, BOUNDS);
      const isNone = some.every((count) => count === 0);
      expect([p50 === null, p95 === null, p99 === null]).toEqual([isNone, isNone, isNone]);
      expect(p50 ?? 0).toBeLessThanOrEqual(p95 ?? 0);
      expect(p95 ?? 0).toBeLessThanOrEqual(p99 ?? 0);
    }),
  );
});

test('rates are what has come since the last look, over the time between', () => {
  const before = {
    ...noTotals,
    uptime_seconds: 10,
    statuses: { 308: 5 },
    pools: [pool('default', { statuses: { 200: 100, 404: 3, 500: 1 } })],
  };
  const now = {
    ...before,
    uptime_seconds: 12,
    client_connections: 7,
    statuses: { 308: 9, 101: 2 },
    pools: [
      pool('default', { statuses: { 200: 120, 404: 3, 500: 3, 600: 2 }, queued: 4 }),
      pool('new', { statuses: { 200: 6 }, queued: 1 }),
    ],
  };
  expect(ratesOf(before, now)).toMatchObject({
    classes: [14, 2, 0, 2],
    requests: 18,
    errors: 2,
    queued: 5,
    clients: 7,
  });
  expect(ratesOf(undefined, now)).toMatchObject({ classes: [0, 0, 0, 0], p50: null });
  expect(statusesOf(now)).toEqual({ 101: 2, 200: 126, 308: 9, 404: 3, 500: 3, 600: 2 });
});

test('a pool that has left makes no rate negative', () => {
  const before = { ...noTotals, uptime_seconds: 1, pools: [pool('a', { statuses: { 200: 50 } })] };
  const now = { ...noTotals, uptime_seconds: 2 };
  expect(ratesOf(before, now)).toMatchObject({ classes: [0, 0, 0, 0], requests: 0 });
});

test('another process, or one that was started again, goes on from nothing', () => {
  const before = { ...noTotals, pid: 1, uptime_seconds: 50 };
  expect(goesOn(before, { ...before, uptime_seconds: 51 })).toBe(true);
  expect(goesOn(before, { ...before, pid: 2, uptime_seconds: 51 })).toBe(false);
  expect(goesOn(before, { ...before, uptime_seconds: 1 })).toBe(false);
});
