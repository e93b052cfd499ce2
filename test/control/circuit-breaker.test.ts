import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BreakerState } from '../../src/control/backend.ts';
import { CircuitBreaker } from '../../src/control/faults/circuit-breaker.ts';
import { GATE_OPEN_WIDE } from '../../src/snapshot/counter-cells.ts';

const SETTINGS = {
  failurePercent: 50,
  minRequests: 20,
  intervalMs: 10_000,
  openMs: 5000,
  halfOpenRequests: 3,
};

/** A breaker and a clock; each sample is so many judged and so many faults after so many ms. */
function setUp() {
  const breaker = new CircuitBreaker();
  let now = 0;
  return {
    breaker,
    sample(afterMs: number, judged = 0, faults = 0): number | undefined {
      now += afterMs;
      return breaker.advance(now, judged, faults, SETTINGS);
    },
    state: () => breaker.status.state,
  };
}

function fitsTogether([state, gate]: [BreakerState, number]): boolean {
  if (state === 'closed') return gate === GATE_OPEN_WIDE;
  return state === 'open' ? gate === 0 : gate >= 1 && gate <= SETTINGS.halfOpenRequests;
}

function opened() {
  const the = setUp();
  expect(the.sample(0, 40, 22)).toBe(0);
  return the;
}

function halfOpen() {
  const the = opened();
  expect(the.sample(5000)).toBe(3);
  expect(the.state()).toBe('half-open');
  return the;
}

describe('a circuit breaker', () => {
  it('opens at enough faults among enough requests, and says why', () => {
    const { breaker } = opened();
    expect(breaker.status).toEqual({
      state: 'open',
      until: 5000,
      reason: '55 % of 40 requests failed',
    });
  });

  it.each([
    ['too few requests', 19, 19],
    ['too few faults', 100, 49],
  ])('stays closed at %s', (_what, judged, faults) => {
    const { sample, state } = setUp();
    expect(sample(0, judged, faults)).toBeUndefined();
    expect(state()).toBe('closed');
  });

  it('counts over a sliding interval, and forgets what is older', () => {
    const { sample, state } = setUp();
    sample(0, 10, 10);
    sample(9999, 9, 0);
    sample(1, 1, 0);
    expect(state()).toBe('closed');
    sample(1000, 10, 10);
    expect(state()).toBe('open');
  });

  it('counts nothing while it is open: that was sent before', () => {
    const { sample, state } = opened();
    expect(sample(4999, 30, 30)).toBeUndefined();
    expect(state()).toBe('open');
    expect(sample(1, 30, 30)).toBe(3);
    expect(state()).toBe('half-open');
  });

  it('closes when all that were let through were good', () => {
    const { sample, state } = halfOpen();
    expect(sample(100, 2, 0)).toBeUndefined();
    expect(sample(100, 1, 0)).toBe(GATE_OPEN_WIDE);
    expect(state()).toBe('closed');
    // It begins anew: what opened it is forgotten.
    expect(sample(100, 19, 19)).toBeUndefined();
  });

  it('opens again at one fault, for twice as long each time, ten times at most', () => {
    const the = halfOpen();
    for (const openMs of [10_000, 20_000, 40_000, 50_000, 50_000]) {
      expect(the.sample(100, 3, 1)).toBe(0);
      expect(the.sample(openMs - 1)).toBeUndefined();
      expect(the.sample(1)).toBe(3);
    }
    the.sample(100, 3, 0);
    expect(the.sample(100, 20, 20)).toBe(0);
    expect(the.sample(5000)).toBe(3);
  });

  it('stays half-open while nobody asks', () => {
    const { sample, state } = halfOpen();
    for (let turn = 0; turn < 100; turn++) sample(1000);
    expect(state()).toBe('half-open');
  });

  it('lets through anew what was let through and never judged', () => {
    const { sample, state } = halfOpen();
    expect(sample(4000, 1, 0)).toBeUndefined();
    expect(sample(999)).toBeUndefined();
    expect(sample(1)).toBe(2);
    expect(sample(10, 2, 0)).toBe(GATE_OPEN_WIDE);
    expect(state()).toBe('closed');
  });

  it('has a gate that fits its state, whatever comes', () => {
    const anySamples = fc.array(
      fc.record({
        afterMs: fc.integer({ min: 1, max: 20_000 }),
        judged: fc.integer({ min: 0, max: 50 }),
        faultShare: fc.constantFrom(0, 0, 0.5, 1),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(anySamples, (samples) => {
        const { breaker, sample } = setUp();
        let gate = GATE_OPEN_WIDE;
        for (const { afterMs, judged, faultShare } of samples) {
          const before = breaker.status.state;
          gate = sample(afterMs, judged, Math.ceil(judged * faultShare)) ?? gate;
          const { state, until } = breaker.status;
          expect([state, gate]).toSatisfy(fitsTogether);
          expect(until !== undefined).toBe(state === 'open');
          // There is no way from open to closed but by trying.
          expect([before, state]).not.toEqual(['open', 'closed']);
        }
      }),
    );
  });
});
