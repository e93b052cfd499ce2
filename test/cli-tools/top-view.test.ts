import { expect, test } from 'vitest';
import type { BackendStatus, SeenPool } from '../../src/cli/admin/pool-status.ts';
import { type Sample, viewOf } from '../../src/cli/terminal/top-view.ts';

function backend(id: number, more: Partial<BackendStatus> = {}): BackendStatus {
  return {
    id,
    url: `http://localhost:${8080 + id}`,
    weight: 1,
    alive: true,
    state: 'enabled',
    health: 'healthy',
    conns: 2,
    requests: 100,
    errors: 0,
    latency_ms: 1.25,
    reason: null,
    why: 'healthy, last check 1 s ago',
    ...more,
  };
}

function sample(
  atMs: number,
  backends: readonly BackendStatus[],
  more: Partial<SeenPool['status']> = {},
): Sample {
  const status = {
    strategy: 'round-robin',
    total_backends: backends.length,
    active_backends: backends.filter(({ alive }) => alive).length,
    panic: false,
    uptime_seconds: 61.5,
    backends,
    ...more,
  };
  return { atMs, pools: [{ pool: undefined, status }], troubles: [] };
}

test('rates come from the difference to what was seen before', () => {
  const before = sample(1000, [backend(0), backend(1)]);
  const now = sample(3000, [
    backend(0, { requests: 400, errors: 5 }),
    backend(1, { requests: 101 }),
    backend(2),
  ]);
  const lines = viewOf(now, before);
  expect(lines[0]).toBe(
    '3 of 3 backends alive, 151 requests/s, 2.5 failed attempts/s, 6 in flight, up 1m1s',
  );
  const cells = lines.slice(4).map((line) => line.split(/ {2,}/).slice(4, 8));
  expect(cells).toEqual([
    ['2', '150', '2.5', '400'],
    ['2', '0.5', '0.0', '101'],
    ['2', '-', '-', '100'],
  ]);
  // Another process counts from its own beginning.
  const anew = viewOf(sample(4000, [backend(0, { requests: 3 })]), now);
  expect(anew[0]).toContain('- requests/s');
  expect(viewOf(now, undefined)[0]).toContain('- requests/s');
});

test.each([
  [{}, 'up'],
  [{ health: 'unhealthy', alive: false }, 'down'],
  [{ health: 'unknown' }, 'unknown'],
  [{ state: 'draining' }, 'draining'],
  [{ state: 'draining', drained: true }, 'drained'],
  [{ state: 'disabled', health: 'unhealthy' }, 'disabled'],
  [{ ejected_until: '2026-01-01T00:00:00.000Z' }, 'ejected'],
  [{ breaker: 'open' }, 'open'],
  [{ breaker: 'half-open' }, 'half-open'],
])('the state of %j is %s', (more, state) => {
  const [row = ''] = viewOf(sample(0, [backend(0, more)]), undefined).slice(-1);
  expect(row.split(/ {2,}/)[2]).toBe(state);
});

test('of a backend without an answer there is no latency', () => {
  const rows = viewOf(sample(0, [backend(0, { latency_ms: 0 }), backend(1)]), undefined).slice(-2);
  expect(rows.map((row) => row.split(/ {2,}/)[9])).toEqual(['-', '1.3 ms']);
});

test('a pool says what is the matter with it', () => {
  const status = sample(0, [], { panic: true, breaker: 'open', queued: 3 }).pools[0]?.status;
  const pool = { name: 'api', routed: false, total_backends: 0 };
  const pools = status === undefined ? [] : [{ pool, status }];
  const lines = viewOf({ atMs: 0, pools, troubles: ['DEGRADED: why'] }, undefined);
  expect(lines[0]).toBe('DEGRADED: why');
  expect(lines.at(-1)).toBe(
    'pool api: round-robin, 0 of 0 alive, used by no route, PANIC: unhealthy ones are used as well, circuit breaker open, 3 queued',
  );
});

test('it has the size that it is given, and moves no cursor', () => {
  const many = Array.from({ length: 30 }, (_, id) => backend(id, { why: 'so\u001B[2J\nx' }));
  const lines = viewOf(sample(0, many), undefined, { columns: 60, rows: 10 });
  expect(lines).toHaveLength(10);
  expect(lines.at(-1)).toBe('… 25 lines more');
  expect(Math.max(...lines.map((line) => line.length))).toBe(60);
  const whole = viewOf(sample(0, many), undefined, { columns: 500, rows: 34 });
  expect(whole).toHaveLength(34);
  expect(whole.at(-1)).toMatch(/so\\u001b\[2J\\u000ax$/);
});
