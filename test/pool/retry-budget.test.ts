import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RetryBudget } from '../../src/data/pool/retry-budget.ts';

function setUp({ threads = 1, percent = 20 } = {}) {
  const clock = { ms: 1_000_000 };
  const budget = new RetryBudget(threads, () => clock.ms);
  return {
    clock,
    request(count = 1): void {
      for (let index = 0; index < count; index++) budget.deposit();
    },
    /** How many of `count` retries are granted. */
    retry(count: number): number {
      let granted = 0;
      for (let index = 0; index < count; index++) {
        if (!budget.has(percent)) continue;
        budget.withdraw();
        granted++;
      }
      return granted;
    },
    tick(ms: number): void {
      clock.ms += ms;
      budget.advance();
    },
  };
}

describe('the retry budget', () => {
  test('without requests there is the reserve, and no more', () => {
    expect(setUp().retry(100)).toBe(30);
    expect(setUp({ threads: 4 }).retry(100)).toBe(8);
    expect(setUp({ threads: 64 }).retry(100)).toBe(3);
  });

  test('requests of the last ten seconds pay for their share', () => {
    const the = setUp();
    the.request(1_000);
    expect(the.retry(1_000)).toBe(230);
    the.tick(9_000);
    expect(the.retry(1)).toBe(0);
    the.tick(1_000);
    expect(the.retry(1_000)).toBe(30);
  });

  test('0 percent: none at all', () => {
    expect(setUp({ percent: 0 }).retry(10)).toBe(0);
  });

  test('a clock that jumps far ahead forgets everything, once', () => {
    const the = setUp();
    the.request(500);
    the.tick(3_600_000);
    expect(the.retry(1_000)).toBe(30);
  });

  test('however requests and failures come, retries stay below the share and the reserve', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ requests: fc.nat(50), retries: fc.nat(50), ms: fc.nat(3_000) }), {
          maxLength: 60,
        }),
        (steps) => {
          const the = setUp();
          let requests = 0;
          let retries = 0;
          let elapsed = 0;
          for (const step of steps) {
            the.request(step.requests);
            requests += step.requests;
            retries += the.retry(step.retries);
            the.tick(step.ms);
            elapsed += step.ms;
          }
          // The reserve comes anew with every window.
          const windows = 1 + Math.ceil(elapsed / 10_000);
          expect(retries).toBeLessThanOrEqual(requests * 0.2 + 31 * windows);
        },
      ),
    );
  });
});
