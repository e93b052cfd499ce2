import { expect, test } from 'vitest';
import { History, SPARK_POINTS, Spark } from '../../src/dashboard/data/history.ts';
import { Rows, stateOf } from '../../src/dashboard/data/rows.ts';
import type { Totals } from '../../src/dashboard/data/shapes.ts';
import { backend, noTotals, pool } from './totals.ts';

const NOW = Date.parse('2026-01-01T00:00:03.000Z');

test('a row that looks as before is the same object, and is not drawn again', () => {
  const rows = new Rows();
  const look = (more: Parameters<typeof backend>[1], nowMs = NOW) => {
    const totals = { ...noTotals, pools: [pool('a', { backends: [backend(0, more)] })] };
    return rows.take(totals, 1, nowMs).get('a')?.[0];
  };
  const first = look({});
  expect(look({ why: 'healthy, last check 4 s ago' }, NOW + 1000)).toBe(first);
  expect(look({ why: 'healthy, last check 1 s ago', last_check: '2026-01-01T00:00:02.000Z' })).toBe(
    first,
  );
  const busy = look({ requests: 20 });
  expect(busy?.cells).toMatchObject({ rate: '20', failed: '', why: 'healthy' });
  expect(look({ requests: 40 })?.cells).toEqual(busy?.cells);
  expect(look({ requests: 40, errors: 3, server_errors: 12 })?.cells).toMatchObject({
    rate: '0',
    failed: '3.0',
    serverErrors: '12',
  });
  expect(look({ requests: 40, errors: 3, server_errors: 12 }, NOW + 65_000)?.cells.check).toBe(
    '1 min ago',
  );
});

function withRequests(requests: number): Totals {
  return { ...noTotals, pools: [pool('a', { backends: [backend(7, { requests })] })] };
}

test('a backend that comes back begins anew, and one that is gone is forgotten', () => {
  const rows = new Rows();
  const before = rows.take(withRequests(100), 1, NOW).get('a')?.[0];
  rows.take(noTotals, 1, NOW);
  const after = rows.take(withRequests(500), 1, NOW).get('a')?.[0];
  expect(after?.spark).not.toBe(before?.spark);
  expect(after?.cells.rate).toBe('0');
});

test.each([
  [{}, 'up', 'good'],
  [{ state: 'disabled' }, 'disabled', 'off'],
  [{ state: 'draining' }, 'draining', 'warn'],
  [{ state: 'draining', drained: true }, 'drained', 'warn'],
  [{ ejected_until: '2026-01-01T00:00:00Z' }, 'ejected', 'bad'],
  [{ health: 'unhealthy' }, 'down', 'bad'],
  [{ breaker: 'open' }, 'breaker open', 'bad'],
  [{ health: 'unknown' }, 'not checked', 'warn'],
  [{ eligible: false, backup: true }, 'standing by', 'off'],
  [{ eligible: false }, 'up, unused', 'warn'],
] as const)('the state of %j is %s', (more, text, tone) => {
  expect(stateOf(backend(0, more))).toEqual([text, tone]);
});

test('what is remembered of the past does not grow', () => {
  const history = new History(2);
  for (let second = 0; second < 86_400; second++) history.push([second, 1, null]);
  expect(history.columns.map(({ length }) => length)).toEqual([600, 600, 600]);
  expect(history.columns[0]?.at(-1)).toBe(86_399);
  history.gap(86_500);
  history.gap(86_501);
  expect(history.columns.map((column) => column.slice(-2))).toEqual([
    [86_399, 86_400],
    [1, null],
    [null, null],
  ]);
  const spark = new Spark();
  for (let second = 0; second < 1000; second++) spark.push(second);
  expect([spark.values.length, spark.values[SPARK_POINTS - 1]]).toEqual([SPARK_POINTS, 999]);
});

test('a line of zeros is not drawn again for one more', () => {
  const spark = new Spark();
  spark.push(0);
  expect(spark.version).toBe(0);
  spark.push(5);
  for (let second = 0; second < 200; second++) spark.push(0);
  const { version } = spark;
  expect(version).toBe(61);
  spark.push(0);
  expect(spark.version).toBe(version);
});
