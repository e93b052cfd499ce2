import { describe, expect, it } from 'vitest';
import type { OutlierSettings } from '../../src/config/settings.ts';
import { OutlierDetection } from '../../src/control/faults/outlier-detection.ts';
import { BackendCounters, readBackendCounters } from '../../src/snapshot/counters.ts';
import { backend, pickedIds, poolRegistry, recordLog, settings } from './fixtures.ts';

const OUTLIER: OutlierSettings = {
  consecutiveFailures: 5,
  consecutive5xx: 0,
  failurePercent: 50,
  minRequests: 20,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionMs: 300_000,
  maxEjectionPercent: 50,
  slowCallMs: 0,
};

function setUp(count = 4, change: Partial<OutlierSettings> = {}) {
  const clock = { now: 1_000_000 };
  const log = recordLog();
  const registry = poolRegistry({
    settings: settings({
      outlier: { ...OUTLIER, ...change },
      backends: Array.from({ length: count }, (_, id) => backend(`http://localhost:${8000 + id}`)),
    }),
    threadCount: 1,
    now: () => clock.now,
  });
  for (const { id } of registry.backends()) registry.live.setHealth(id, 'healthy', 'ok');
  const outliers = new OutlierDetection({ registry, log });
  return {
    clock,
    log,
    registry,
    outliers,
    /** One second later, backend 0 has been judged so often. */
    sample(judged: number, faults: number, afterMs = 1000): void {
      clock.now += afterMs;
      const [first] = registry.backends();
      if (first !== undefined) outliers.sample([{ backend: first, judged, faults }]);
      outliers.returnDue();
    },
    isEjected: (id = 0) => registry.backend(id)?.ejection !== undefined,
    /** How long it is still out. */
    outFor: (id = 0) => (registry.backend(id)?.ejection?.until ?? clock.now) - clock.now,
    /** Lets time pass until just after its return. */
    return(id = 0): void {
      clock.now = registry.backend(id)?.ejection?.until ?? clock.now;
      outliers.returnDue();
    },
  };
}

describe('outlier detection', () => {
  it('ejects for faults in a row, logs it once, and brings back', () => {
    const { outliers, registry, log, clock, outFor } = setUp();
    outliers.faultsInARow(0, 'consecutive_failures', 'reset');
    outliers.faultsInARow(0, 'consecutive_failures', 'reset');
    expect(pickedIds(registry)).toEqual([1, 2, 3]);
    expect(outFor()).toBe(30_000);
    clock.now += 29_999;
    outliers.returnDue();
    expect(pickedIds(registry)).toEqual([1, 2, 3]);
    clock.now += 1;
    outliers.returnDue();
    expect(pickedIds(registry)).toEqual([0, 1, 2, 3]);
    expect(log.lines.map(({ event, message }) => [event, message])).toEqual([
      [
        'backend.ejected',
        'http://localhost:8000 is ejected for 30s, or until a check passes: 5 failures in a row, the last: reset',
      ],
      ['backend.returned', 'http://localhost:8000 is back: the ejection is over'],
    ]);
    expect(outliers.counts(0)).toEqual({
      consecutive_failures: 1,
      consecutive_5xx: 0,
      failure_percent: 0,
    });
  });

  it('forgets the faults in a row, so that the next ones are reported again', () => {
    const { outliers, registry } = setUp(1);
    const { counters } = registry.backends()[0] as { counters: SharedArrayBuffer };
    const thread = new BackendCounters(counters, 0, 1);
    for (let turn = 0; turn < 5; turn++) {
      thread.errorInARow();
      thread.failureInARow();
    }
    outliers.faultsInARow(0, 'consecutive_failures', 'reset');
    // It is the only one: it stays, and is counted anew.
    expect(pickedIds(registry)).toEqual([0]);
    expect(readBackendCounters(counters, 1)).toMatchObject({ errorsInARow: 0, failuresInARow: 0 });
  });

  it('ejects for errors in a row where that is asked for, and a check may end it', () => {
    const { outliers, registry, clock, isEjected } = setUp(4, { consecutive5xx: 7 });
    outliers.faultsInARow(0, 'consecutive_5xx', 'status 500');
    expect(registry.backend(0)?.ejection?.reason).toBe('7 errors in a row, the last: status 500');
    expect(outliers.counts(0)).toMatchObject({ consecutive_failures: 0, consecutive_5xx: 1 });
    clock.now += 1_000;
    outliers.checkPassed(0, clock.now);
    expect(isEjected()).toBe(false);
  });

  it('ejects for a share of faults among enough requests within the interval', () => {
    const { sample, isEjected, registry, outliers } = setUp();
    sample(19, 19);
    expect(isEjected()).toBe(false);
    for (let second = 0; second < 9; second++) sample(0, 0);
    // The 19 are out of the window by now.
    sample(19, 19);
    expect(isEjected()).toBe(false);
    sample(1, 0);
    expect(isEjected()).toBe(true);
    expect(registry.backend(0)?.ejection?.reason).toBe('95 % of 20 requests failed');
    expect(outliers.counts(0)).toEqual({
      consecutive_failures: 0,
      consecutive_5xx: 0,
      failure_percent: 1,
    });
  });

  it('does not hold against a backend that came back what took it out', () => {
    const { sample, isEjected, registry } = setUp();
    sample(19, 19);
    registry.live.setHealth(0, 'unhealthy', 'refused');
    sample(100, 100);
    registry.live.setHealth(0, 'healthy', 'ok');
    sample(19, 19);
    expect(isEjected()).toBe(false);
  });

  it('leaves in who fails less, and does not count when that is off', () => {
    const less = setUp();
    for (let second = 0; second < 30; second++) less.sample(100, 49);
    expect(less.isEjected()).toBe(false);
    const off = setUp(4, { failurePercent: 0 });
    expect(off.outliers.pollMs).toBeUndefined();
    off.sample(100, 100);
    expect(off.isEjected()).toBe(false);
  });

  it('ejects for longer each time, up to the longest, and forgives by the interval', () => {
    const { outliers, outFor, clock, return: comeBack } = setUp();
    const ejectAgain = (): number => {
      outliers.faultsInARow(0, 'consecutive_failures', 'reset');
      return outFor();
    };
    for (const times of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10]) {
      expect(ejectAgain()).toBe(30_000 * times);
      comeBack();
    }
    clock.now += 39_999;
    expect(ejectAgain()).toBe(30_000 * 8);
    comeBack();
    clock.now += 1_000_000;
    expect(ejectAgain()).toBe(30_000);
  });

  it('never has more out than it may, and never the last', () => {
    const { outliers, registry } = setUp(5);
    for (const id of [0, 1, 2, 3, 4]) outliers.faultsInARow(id, 'consecutive_failures', 'reset');
    expect(pickedIds(registry)).toEqual([2, 3, 4]);

    const two = setUp(2, { maxEjectionPercent: 100 });
    for (const id of [0, 1]) two.outliers.faultsInARow(id, 'consecutive_failures', 'reset');
    expect(pickedIds(two.registry)).toEqual([1]);

    const illOthers = setUp(4, { maxEjectionPercent: 100 });
    for (const id of [1, 2]) illOthers.registry.live.setHealth(id, 'unhealthy', 'no');
    illOthers.registry.planUpdate(3, { weight: 0 }).commit();
    illOthers.outliers.faultsInARow(0, 'consecutive_failures', 'reset');
    expect(pickedIds(illOthers.registry)).toEqual([0]);

    // Disabled ones are no part of what the percentage is of.
    const disabled = setUp(4);
    disabled.registry.planUpdate(3, { state: 'disabled' }).commit();
    for (const id of [0, 1]) disabled.outliers.faultsInARow(id, 'consecutive_failures', 'reset');
    expect(pickedIds(disabled.registry)).toEqual([1, 2]);
  });

  it('may leave the field to a backup', () => {
    const { outliers, registry } = setUp(2);
    registry.planUpdate(1, { isBackup: true }).commit();
    outliers.faultsInARow(0, 'consecutive_failures', 'reset');
    expect(pickedIds(registry)).toEqual([1]);
  });

  it('lets a check that began a second later end the first ejection, and no second one soon after', () => {
    const { outliers, clock, isEjected, log } = setUp();
    outliers.faultsInARow(0, 'consecutive_failures', 'reset');
    const since = clock.now;
    clock.now += 2000;
    outliers.checkPassed(0, since - 1);
    outliers.checkPassed(0, since + 999);
    expect(isEjected()).toBe(true);
    outliers.checkPassed(0, since + 1000);
    expect(isEjected()).toBe(false);
    expect(log.lines.at(-1)?.fields['reason']).toBe('a health check passed');
    outliers.faultsInARow(0, 'consecutive_failures', 'reset');
    clock.now += 20_000;
    outliers.checkPassed(0, clock.now);
    expect(isEjected()).toBe(true);
  });

  it('lets no check end an ejection for a share of faults', () => {
    const { sample, outliers, clock, isEjected } = setUp();
    sample(40, 20);
    clock.now += 20_000;
    outliers.checkPassed(0, clock.now);
    expect(isEjected()).toBe(true);
  });

  it('brings everybody back when it is turned off, and survives that backends go', () => {
    const { outliers, registry, isEjected } = setUp();
    outliers.faultsInARow(0, 'consecutive_failures', 'reset');
    outliers.faultsInARow(1, 'consecutive_failures', 'reset');
    registry.planRemove(1).commit();
    outliers.sync();
    expect(isEjected()).toBe(true);
    outliers.faultsInARow(1, 'consecutive_failures', 'reset');
    registry.rebuild({ ...registry.settings, outlier: null });
    outliers.sync();
    expect(isEjected()).toBe(false);
    outliers.faultsInARow(0, 'consecutive_failures', 'reset');
    expect(isEjected()).toBe(false);
  });

  it('has a backend that was restarted back at once, and forgets what it was ejected for', () => {
    const { sample, outliers, registry, isEjected, outFor, log, return: comeBack } = setUp();
    outliers.recovered(0);
    expect(log.lines).toEqual([]);
    outliers.faultsInARow(0, 'consecutive_failures', 'reset');
    comeBack();
    sample(40, 20);
    expect(outFor()).toBe(60_000);
    registry.live.setHealth(0, 'unhealthy', 'refused');
    registry.live.setHealth(0, 'healthy', 'ok');
    outliers.recovered(0);
    expect(isEjected()).toBe(false);
    expect(log.lines.at(-1)).toMatchObject({ event: 'backend.returned' });
    outliers.faultsInARow(0, 'consecutive_failures', 'reset');
    expect(outFor()).toBe(30_000);
    outliers.recovered(7);
  });
});
