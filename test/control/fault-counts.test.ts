import { describe, expect, it } from 'vitest';
import { FaultCounts } from '../../src/control/faults/fault-counts.ts';
import { BackendCounters } from '../../src/snapshot/counters.ts';
import { backend, poolRegistry, settings } from './fixtures.ts';

const URL = 'http://localhost:8000';

function setUp() {
  const registry = poolRegistry({
    settings: settings({ backends: [backend(URL)] }),
    threadCount: 2,
  });
  registry.live.setHealth(0, 'healthy', 'ok');
  const { counters } = registry.backend(0) as { counters: SharedArrayBuffer };
  const threads = [0, 1].map((index) => new BackendCounters(counters, index, 2));
  const counts = new FaultCounts(registry, 2);
  return {
    registry,
    /** What comes of attempts that went so, each in another thread than the one before. */
    look(good: number, bad: number, silent: number): readonly number[] {
      let turn = 0;
      const next = (): BackendCounters => threads[turn++ % 2] as BackendCounters;
      for (let count = 0; count < good; count++) next().wentWell();
      for (let count = 0; count < bad; count++) next().wentBadly();
      for (let count = 0; count < silent; count++) next().stayedSilent();
      const [seen] = counts.since();
      return [seen?.judged ?? -1, seen?.faults ?? -1];
    },
  };
}

describe('answers that did not come in time', () => {
  it.each([
    [0, 0, 40, [0, 0]],
    [1, 0, 40, [1, 0]],
    [1, 9, 40, [10, 9]],
    [0, 1, 40, [2, 2]],
    [0, 9, 4, [13, 13]],
  ])('beside %d good and %d bad ones, %d of them are %j', (good, bad, silent, expected) => {
    expect(setUp().look(good, bad, silent)).toEqual(expected);
  });

  it('all count while the check fails, and none when it passes again', () => {
    const { registry, look } = setUp();
    registry.live.recordCheck(0, false);
    expect(look(3, 0, 7)).toEqual([10, 7]);
    registry.live.recordCheck(0, true);
    expect(look(3, 0, 7)).toEqual([3, 0]);
  });

  it('all count while the circuit breaker is not closed', () => {
    const { registry, look } = setUp();
    registry.live.setBreaker(0, { state: 'half-open', until: undefined, reason: 'it failed' });
    expect(look(0, 0, 2)).toEqual([2, 2]);
  });
});
