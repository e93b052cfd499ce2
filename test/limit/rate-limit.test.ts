import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RateLimiter, rateLimitFields } from '../../src/data/limit/rate-limit.ts';
import { createClientTable } from '../../src/snapshot/client-table.ts';
import type { RateLimit } from '../../src/snapshot/policies.ts';
import { processClockOffsetMs } from '../../src/snapshot/process-clock.ts';
import { hammer } from './threads.ts';

const BY_ADDRESS = { by: 'ip', name: '' } as const;

function limitOf(rate: number, perMs: number, burst: number): RateLimit {
  return { key: BY_ADDRESS, rate, perMs, burst };
}

function memoryOf(buckets = 16, epochMs = 0): SharedArrayBuffer {
  return createClientTable({ buckets, values: 2, epochMs });
}

function limiterOf(limit: RateLimit, memory: SharedArrayBuffer, onEvicted = () => {}): RateLimiter {
  return new RateLimiter(limit, '0', memory, 1, onEvicted);
}

/** How many of `count` requests at once conform. */
function burstAt(limiter: RateLimiter, nowMs: number, count: number, key = 'client'): number {
  let accepted = 0;
  for (let index = 0; index < count; index++) if (limiter.take(key, nowMs) === 0) accepted++;
  return accepted;
}

describe('of a limit that instances share', () => {
  const limit = { ...limitOf(12, 1_000, 6), scope: 'shared' } as const;
  const partOf = (instances: number, memory = memoryOf()): RateLimiter =>
    new RateLimiter(limit, '0', memory, instances, () => {});

  test('each allows its part, of the burst too', () => {
    const limiter = partOf(3);
    expect(burstAt(limiter, 0, 20)).toBe(2);
    expect(burstAt(limiter, 1_000, 20)).toBe(2);
    // Four a second.
    for (let ms = 1_250; ms < 3_000; ms += 250) expect(burstAt(limiter, ms, 20)).toBe(1);
  });

  test('each allows one at a time, however many there are', () => {
    const limiter = partOf(100);
    expect(burstAt(limiter, 0, 20)).toBe(1);
    expect(burstAt(limiter, 8_000, 20)).toBe(0);
    expect(burstAt(limiter, 8_400, 20)).toBe(1);
  });

  test('clients keep what they have used when instances come and go', () => {
    const memory = memoryOf();
    expect(burstAt(partOf(1, memory), 0, 20)).toBe(6);
    const ofTwo = partOf(2, memory);
    expect(burstAt(ofTwo, 0, 20)).toBe(0);
    expect(burstAt(ofTwo, 10_000, 20)).toBe(3);
    expect(burstAt(partOf(1, memory), 10_000, 20)).toBe(0);
  });
});

describe('a client', () => {
  test('may send its burst at once, and then one each interval', () => {
    const limiter = limiterOf(limitOf(10, 1_000, 5), memoryOf());
    expect(burstAt(limiter, 0, 20)).toBe(5);
    expect(burstAt(limiter, 99.9, 20)).toBe(0);
    expect(burstAt(limiter, 100, 20)).toBe(1);
    expect(burstAt(limiter, 350, 20)).toBe(2);
    expect(burstAt(limiter, 400, 20)).toBe(1);
  });

  test('that was silent for long may send its burst, no more', () => {
    const limiter = limiterOf(limitOf(10, 1_000, 5), memoryOf());
    burstAt(limiter, 0, 20);
    expect(burstAt(limiter, 1e9, 20)).toBe(5);
  });

  test('with a burst of one is held to the interval', () => {
    const limiter = limiterOf(limitOf(1, 60_000, 1), memoryOf());
    expect(limiter.take('a', 0)).toBe(0);
    expect(limiter.take('a', 1_000)).toBeCloseTo(59_000, 3);
    expect(limiter.take('a', 60_000)).toBe(0);
  });

  test('is held back by nobody else', () => {
    const limiter = limiterOf(limitOf(10, 1_000, 5), memoryOf());
    expect(burstAt(limiter, 0, 20, 'a')).toBe(5);
    expect(burstAt(limiter, 0, 20, 'b')).toBe(5);
  });

  test('that is refused is told when it is not, and pays nothing for asking', () => {
    const limiter = limiterOf(limitOf(3, 1_000, 2), memoryOf());
    burstAt(limiter, 500, 2);
    for (let index = 0; index < 100; index++) {
      expect(limiter.take('client', 500)).toBeCloseTo(1_000 / 3, 4);
    }
    const wait = limiter.take('client', 600);
    expect(limiter.take('client', 600 + wait - 0.01)).toBeGreaterThan(0);
    expect(limiter.take('client', 600 + wait)).toBe(0);
  });

  test('can be told what it would be told, and pays nothing for that either', () => {
    const limiter = limiterOf(limitOf(1, 1_000, 2), memoryOf());
    const foresee = () => limiter.foresee('client', 500);
    expect([foresee(), limiter.take('client', 500)]).toEqual([0, 0]);
    expect([foresee(), limiter.take('client', 500)]).toEqual([0, 0]);
    // The last that was taken was somebody's first.
    limiter.take('another', 500);
    const told = foresee();
    expect(told).toBeCloseTo(1_000, 3);
    expect(limiter.take('client', 500)).toBe(told);
    expect(limiter.take('client', 1_500)).toBe(0);
  });

  test('has what a new limit gives it, whatever it used of the former one', () => {
    const memory = memoryOf();
    const former = limiterOf(limitOf(1, 86_400_000, 1_000), memory);
    expect(burstAt(former, 0, 2_000)).toBe(1_000);
    const current = limiterOf(limitOf(10, 1_000, 5), memory);
    expect(burstAt(current, 0, 9)).toBe(5);
    expect(burstAt(current, 100, 9)).toBe(1);
    // The former one is as it was, should it come back: it is no way to a second burst.
    expect(burstAt(limiterOf(former.limit, memory), 100, 9)).toBe(0);
  });

  test('with a burst of a thousand years has six of them', () => {
    const limiter = limiterOf(limitOf(1, 86_400_000, 365_000), memoryOf());
    expect(burstAt(limiter, 0, 3_000)).toBe(6 * 365 + 1);
  });

  test('is remembered while others come and go, the more so the more it has used', () => {
    const limiter = limiterOf(limitOf(1, 1_000, 10), memoryOf(1));
    expect(burstAt(limiter, 0, 20, 'greedy')).toBe(10);
    for (let index = 0; index < 1_000; index++) limiter.take(`other ${index}`, 1);
    expect(limiter.take('greedy', 1)).toBeGreaterThan(0);
  });
});

test('two threads whose clocks are microseconds apart agree', () => {
  const memory = memoryOf();
  const limit = limitOf(1_000, 1_000, 3);
  const [ahead, behind] = [limiterOf(limit, memory), limiterOf(limit, memory)];
  expect(burstAt(ahead, 10.004, 9)).toBe(3);
  expect(burstAt(behind, 10, 9)).toBe(0);
  expect(burstAt(behind, 11.003, 9)).toBe(0);
  expect(burstAt(behind, 11.005, 9)).toBe(1);
});

/** From one request a day to a million a second. */
const limits = fc
  .record({
    rate: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 1_000_000 })),
    perMs: fc.constantFrom(1_000, 60_000, 86_400_000, 100),
    burst: fc.integer({ min: 1, max: 1_000 }),
  })
  .filter(({ rate, perMs }) => rate / perMs <= 1_000);

test('in any stretch of time rate × time + burst conform at most, and hardly fewer of a client that asks always', () => {
  fc.assert(
    fc.property(
      limits,
      fc.constantFrom(0, 1e9, 5 * 365 * 86_400_000),
      fc.array(fc.double({ min: 0, max: 3, noNaN: true }), { minLength: 1, maxLength: 50 }),
      ({ rate, perMs, burst }, sinceEpochMs, pauses) => {
        const epochMs = 123_456.789;
        const limiter = limiterOf(limitOf(rate, perMs, burst), memoryOf(1, epochMs));
        const intervalMs = perMs / rate;
        const startMs = epochMs + sinceEpochMs;
        let nowMs = startMs;
        let accepted = 0;
        const takeAll = (): void => {
          while (limiter.take('client', nowMs) === 0) accepted++;
        };
        takeAll();
        expect(accepted).toBe(burst);
        for (const pause of pauses) {
          nowMs += pause * intervalMs;
          takeAll();
          const allowance = (nowMs - startMs) / intervalMs + burst;
          // Floats and nanoseconds: one in a thousand.
          expect(accepted).toBeLessThanOrEqual(allowance * 1.001 + 0.001);
        }
        const spare = pauses.length * Math.max(0, 3 - burst);
        const allowance = Math.floor((nowMs - startMs) / intervalMs + burst);
        expect(accepted).toBeGreaterThanOrEqual(allowance * 0.999 - 1 - spare);
      },
    ),
  );
});

test.each([
  [1_000_000, 1_000],
  [700_001, 1_000],
  [999_999, 1_000],
  [333_333, 1_000],
])('%i in %i ms is held to a thousandth, after years too', (rate, perMs) => {
  const limiter = limiterOf(limitOf(rate, perMs, 50), memoryOf());
  const startMs = 5 * 365 * 86_400_000;
  const steps = 20_000;
  const stepMs = 0.01;
  let accepted = burstAt(limiter, startMs, 100);
  for (let step = 1; step <= steps; step++) {
    accepted += burstAt(limiter, startMs + step * stepMs, 20);
  }
  const allowance = (rate * steps * stepMs) / perMs + 50;
  expect(Math.abs(accepted / allowance - 1)).toBeLessThan(0.001);
});

describe('on two threads', () => {
  test('100/s with a burst of 20 lets through its allowance of 10 s, to 1 %', async () => {
    const limit = limitOf(100, 1_000, 20);
    const tickMs = 0.05;
    const input = { memory: memoryOf(), limit, clock: new Int32Array(new SharedArrayBuffer(4)) };
    const ticks = 10_000 / tickMs;
    const accepted = await hammer<number>(2, 'rateByTicks', { ...input, ticks, tickMs });
    const sum = accepted.reduce((total, count) => total + count, 0);
    const allowance = 100 * 10 + 20;
    expect(sum).toBeLessThanOrEqual(allowance + 1);
    expect(sum).toBeGreaterThanOrEqual(allowance * 0.99);
  });

  test('the same by the clock that they share', async () => {
    interface Result {
      readonly firstMs: number;
      readonly lastMs: number;
      readonly accepted: number;
      /** How long the thread did not run, in long pauses. */
      readonly stoodMs: number;
    }
    const limit = limitOf(100, 1_000, 20);
    const now = performance.now() + processClockOffsetMs();
    const results = await hammer<Result>(2, 'rateByClock', {
      memory: memoryOf(16, now),
      limit,
      forMs: 1_500,
    });
    const accepted = results.reduce((sum, result) => sum + result.accepted, 0);
    const firstMs = Math.min(...results.map((result) => result.firstMs));
    const lastMs = Math.max(...results.map((result) => result.lastMs));
    const allowance = ((lastMs - firstMs) * 100) / 1_000 + 20;
    // Clocks apart would show as one thread's requests refused, or let through, for as long as they are apart.
    expect(accepted).toBeLessThanOrEqual(allowance + 1);
    const lost = (Math.min(...results.map((result) => result.stoodMs)) * 100) / 1_000;
    expect(accepted).toBeGreaterThanOrEqual(allowance * 0.99 - 1 - lost);
  });
});

describe('the fields of a refusal', () => {
  test.each([
    [limitOf(100, 1_000, 20), 5, 'q=100;w=1', 1],
    [limitOf(100, 1_000, 20), 1_000, 'q=100;w=1', 1],
    [limitOf(100, 1_000, 20), 1_000.1, 'q=100;w=1', 2],
    [limitOf(5, 60_000, 1), 11_500, 'q=5;w=60', 12],
    [limitOf(1_000, 86_400_000, 1), 86_400, 'q=1000;w=86400', 87],
    [limitOf(10, 100, 1), 10, 'q=100;w=1', 1],
    [limitOf(1, 1_500, 1), 1_400, 'q=1;w=2', 2],
  ])('%j after %d ms', (limit, ms, policy, seconds) => {
    expect(rateLimitFields(limit, ms)).toBe(
      `RateLimit-Policy: "default";${policy}\r\nRateLimit: "default";r=0;t=${seconds}\r\nRetry-After: ${seconds}\r\n`,
    );
  });
});
