import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PoolWatch } from '../../src/control/faults/pool-watch.ts';
import { NO_PASS } from '../../src/snapshot/counter-cells.ts';
import { BackendCounters } from '../../src/snapshot/counters.ts';
import type { FaultsInARowMessage } from '../../src/snapshot/messages.ts';
import { PoolCounters } from '../../src/snapshot/pool-counters.ts';
import type { Eligibility } from '../../src/snapshot/snapshot.ts';
import {
  backend,
  type FlatSettings,
  pickedIds,
  poolRegistry,
  recordLog,
  settings,
} from './fixtures.ts';

const OUTLIER = {
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
const BREAKER = {
  failurePercent: 50,
  minRequests: 20,
  intervalMs: 10_000,
  openMs: 5000,
  halfOpenRequests: 3,
};

/** How many requests a gate lets through, at most ten. */
function brokenInARow(backendId: number): FaultsInARowMessage {
  return { kind: 'faults-in-a-row', backendId, rule: 'consecutive_failures', detail: 'reset' };
}

function passes(gate: { takePass(): number }): number {
  let count = 0;
  while (count < 10 && gate.takePass() !== NO_PASS) count++;
  return count;
}

function setUp(changes: Partial<FlatSettings>) {
  const log = recordLog();
  const registry = poolRegistry({
    settings: settings({
      backends: [8000, 8001, 8002].map((port) => backend(`http://localhost:${port}`)),
      ...changes,
    }),
    threadCount: 2,
  });
  for (const { id } of registry.backends()) registry.live.setHealth(id, 'healthy', 'ok');
  const published: Eligibility[] = [];
  const watch = new PoolWatch({
    registry,
    log,
    threadCount: 2,
    publish: (eligibility) => published.push(eligibility),
  });
  /** As a data thread counts. */
  const judge = (id: number, count: number, isFault: boolean, thread = 0): void => {
    const { counters: buffer } = registry.backend(id) as { counters: SharedArrayBuffer };
    const writer = new BackendCounters(buffer, thread, 2);
    for (let turn = 0; turn < count; turn++) {
      if (isFault) writer.wentBadly();
      else writer.wentWell();
    }
  };
  return {
    log,
    registry,
    watch,
    published,
    judge,
    passesOf: (id: number) =>
      passes(
        new BackendCounters(
          (registry.backend(id) as { counters: SharedArrayBuffer }).counters,
          0,
          2,
        ),
      ),
    passesOfPool: () => passes(new PoolCounters(registry.counters, 0, 2)),
    publishedIds: () => published.map(({ picks }) => picks.map(({ id }) => id)),
  };
}

describe('the watch over the pool', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('sets no timer where nothing is asked of it', () => {
    const { watch, published } = setUp({});
    expect(vi.getTimerCount()).toBe(0);
    watch.refresh();
    expect(published).toEqual([]);
    watch.stop();
  });

  it('publishes a change once, and none that was published with a snapshot', () => {
    const { watch, registry, publishedIds } = setUp({});
    registry.live.setHealth(1, 'unhealthy', 'no');
    watch.refresh();
    watch.refresh();
    expect(publishedIds()).toEqual([[0, 2]]);
    registry.planUpdate(2, { state: 'disabled' }).commit();
    watch.sync(registry.eligibility());
    expect(publishedIds()).toEqual([[0, 2]]);
    watch.stop();
  });

  it('ejects as reported, and brings back when the time is over, without a poll in between', () => {
    const { watch, publishedIds } = setUp({ outlier: { ...OUTLIER, failurePercent: 0 } });
    watch.faultsInARow(brokenInARow(1));
    expect(publishedIds()).toEqual([[0, 2]]);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(29_999);
    expect(publishedIds().length).toBe(1);
    vi.advanceTimersToNextTimer();
    expect(publishedIds()).toEqual([
      [0, 2],
      [0, 1, 2],
    ]);
    expect(vi.getTimerCount()).toBe(0);
    watch.stop();
  });

  it('ejects by what all data threads counted, within a second or so', () => {
    const { watch, judge, publishedIds, registry } = setUp({ outlier: OUTLIER });
    judge(1, 6, true, 0);
    judge(1, 6, true, 1);
    judge(1, 8, false, 1);
    vi.advanceTimersByTime(2000);
    expect(publishedIds()).toEqual([[0, 2]]);
    expect(registry.backend(1)?.ejection?.reason).toBe('60 % of 20 requests failed');
    expect(watch.ejections(1)).toEqual({
      consecutive_failures: 0,
      consecutive_5xx: 0,
      failure_percent: 1,
    });
    watch.stop();
  });

  it('is not kept from looking by what changes all the time', () => {
    const { watch, judge, registry } = setUp({ outlier: OUTLIER });
    judge(1, 20, true);
    for (let turn = 0; turn < 4; turn++) {
      vi.advanceTimersByTime(300);
      watch.refresh();
    }
    expect(registry.backend(1)?.ejection).toBeDefined();
    watch.stop();
  });

  it('lets a check end an ejection', () => {
    const { watch, registry, publishedIds } = setUp({ outlier: OUTLIER });
    watch.faultsInARow(brokenInARow(1));
    vi.advanceTimersByTime(5000);
    watch.checkPassed(1, registry.now());
    expect(publishedIds()).toEqual([
      [0, 2],
      [0, 1, 2],
    ]);
    watch.stop();
  });

  it('takes a backend through open, half-open and closed, at its gate too', () => {
    const { watch, judge, passesOf, passesOfPool, registry, log } = setUp({ breaker: BREAKER });
    for (const id of [0, 2]) judge(id, 100, false);
    judge(1, 20, true);
    vi.advanceTimersByTime(1000);
    expect(pickedIds(registry)).toEqual([0, 2]);
    expect(passesOf(1)).toBe(0);
    vi.advanceTimersByTime(5100);
    expect(registry.backend(1)?.breaker.state).toBe('half-open');
    expect(pickedIds(registry)).toEqual([0, 1, 2]);
    expect(passesOf(1)).toBe(3);
    judge(1, 3, false);
    vi.advanceTimersByTime(100);
    expect(registry.backend(1)?.breaker.state).toBe('closed');
    expect(passesOf(1)).toBe(10);
    expect(passesOfPool()).toBe(10);
    vi.advanceTimersByTime(60_000);
    expect(log.lines.map(({ event, message }) => `${event}: ${message}`)).toEqual([
      'breaker.opened: the circuit breaker of http://localhost:8001 is open: 100 % of 20 requests failed',
      'breaker.half_open: the circuit breaker of http://localhost:8001 lets a few requests try',
      'breaker.closed: the circuit breaker of http://localhost:8001 is closed',
    ]);
    watch.stop();
  });

  it('shuts the gate of the pool when too much fails altogether', () => {
    const { watch, judge, passesOf, passesOfPool, registry } = setUp({ breaker: BREAKER });
    for (const id of [0, 1, 2]) judge(id, 8, true);
    vi.advanceTimersByTime(1000);
    expect(registry.live.poolBreaker.state).toBe('open');
    expect(passesOfPool()).toBe(0);
    // None of them failed often enough to be taken out for itself.
    expect(pickedIds(registry)).toEqual([0, 1, 2]);
    expect(passesOf(0)).toBe(10);
    registry.rebuild({ ...registry.settings, breaker: null });
    watch.sync(registry.eligibility());
    expect(registry.live.poolBreaker.state).toBe('closed');
    expect(passesOfPool()).toBe(10);
    expect(vi.getTimerCount()).toBe(0);
    watch.stop();
  });

  it('opens no breaker for what took a backend out anyway', () => {
    const { watch, judge, registry } = setUp({ breaker: BREAKER });
    judge(0, 200, false);
    judge(1, 19, true);
    vi.advanceTimersByTime(1000);
    registry.live.setHealth(1, 'unhealthy', 'refused');
    watch.refresh();
    judge(1, 20, true);
    vi.advanceTimersByTime(1000);
    registry.live.setHealth(1, 'healthy', 'ok');
    watch.refresh();
    judge(1, 1, true);
    vi.advanceTimersByTime(5000);
    expect(pickedIds(registry)).toEqual([0, 1, 2]);
    watch.stop();
  });

  it('does not count what was counted before it was asked to', () => {
    const { watch, judge, registry } = setUp({});
    judge(1, 100, true);
    registry.rebuild({ ...registry.settings, breaker: BREAKER, outlier: OUTLIER });
    watch.sync(registry.eligibility());
    vi.advanceTimersByTime(5000);
    expect(pickedIds(registry)).toEqual([0, 1, 2]);
    judge(1, 20, true);
    vi.advanceTimersByTime(1000);
    expect(pickedIds(registry)).toEqual([0, 2]);
    watch.stop();
  });

  it('opens all gates when breakers are turned off', () => {
    const { watch, judge, passesOf, registry } = setUp({ breaker: BREAKER });
    judge(1, 20, true);
    judge(0, 100, false);
    vi.advanceTimersByTime(1000);
    expect(passesOf(1)).toBe(0);
    registry.rebuild({ ...registry.settings, breaker: null });
    watch.sync(registry.eligibility());
    expect(passesOf(1)).toBe(10);
    expect(pickedIds(registry)).toEqual([0, 1, 2]);
    watch.stop();
  });

  it('takes each step of a slow start, and no more', () => {
    const { watch, registry, published } = setUp({ slowStartMs: 9000 });
    vi.advanceTimersByTime(20_000);
    registry.live.setHealth(1, 'unhealthy', 'no');
    watch.refresh();
    vi.advanceTimersByTime(1000);
    registry.live.setHealth(1, 'healthy', 'ok');
    watch.refresh();
    vi.advanceTimersByTime(60_000);
    expect(
      published.map(({ picks }) => picks.map(({ id, weight }) => `${id}×${weight}`).join(' ')),
    ).toEqual([
      '0×1 2×1',
      ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((weight) => `0×10 1×${weight} 2×10`),
      '0×1 1×1 2×1',
    ]);
    expect(vi.getTimerCount()).toBe(0);
    watch.stop();
  });

  it('says once when a panic begins and when it ends', () => {
    const { watch, registry, log, published } = setUp({
      panicThresholdPercent: 50,
      backends: [8000, 8001, 8002, 8003].map((port) => backend(`http://localhost:${port}`)),
    });
    for (const id of [0, 1, 3]) {
      registry.live.setHealth(id, 'unhealthy', 'GET /health: 500');
      watch.refresh();
    }
    watch.refresh();
    expect(published.at(-1)).toMatchObject({
      isPanic: true,
      picks: [{ id: 0 }, { id: 1 }, { id: 2 }, { id: 3 }],
    });
    registry.live.setHealth(0, 'healthy', 'ok');
    watch.refresh();
    expect(published.at(-1)).toMatchObject({ isPanic: false });
    expect(log.lines.map(({ level, event, message }) => [level, event, message])).toEqual([
      ['error', 'pool.panic', 'panic: 1 of 4 backends is eligible, so others are used as well'],
      ['info', 'pool.panic_over', 'the panic is over: 2 of 4 backends are eligible'],
    ]);
    watch.stop();
  });

  it('does nothing any more after its end', () => {
    const { watch, registry, published } = setUp({ outlier: OUTLIER, breaker: BREAKER });
    watch.stop();
    watch.faultsInARow(brokenInARow(0));
    registry.live.setHealth(0, 'unhealthy', 'no');
    watch.refresh();
    watch.sync(registry.eligibility());
    vi.advanceTimersByTime(60_000);
    expect(published).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
