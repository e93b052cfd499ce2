/**
 * A drain was begun anew with another deadline, and no other instance of the cluster was told: one of them removed the backend at the old one.
 * Nor did the others begin one that was called off and begun again before they looked; and where a weight was set together with the state of a
 * backend that drained already, they began theirs anew, with the time of the config, and whoever was asked did not.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { DrainTerms } from '../../src/control/change-terms.ts';
import type { SharedChanges } from '../../src/control/cluster-port.ts';
import { Drains } from '../../src/control/drains.ts';
import { Operator } from '../../src/control/operator.ts';
import { Registry } from '../../src/control/registry.ts';
import { StateStore } from '../../src/control/state/state-file.ts';
import { backend, recordLog, settings } from '../control/fixtures.ts';

const SETTINGS = settings({ backends: ['http://a', 'http://b'].map((url) => backend(url)) });

/** An instance, with what stands for the store. */
function setUp() {
  const registry = new Registry({ settings: SETTINGS, threadCount: 1 });
  const store = {
    state: registry.keptState,
    revision: 1,
    /** As another instance has begun it. */
    drain: undefined as DrainTerms | undefined,
    written: [] as (DrainTerms | undefined)[],
    /** Somebody else is first. */
    beforeWrite: undefined as (() => void) | undefined,
  };
  let taken: DrainTerms | undefined;
  const shared: SharedChanges = {
    nextId: 2,
    async write(_before, next, { drain }) {
      const isFirst = store.beforeWrite === undefined;
      store.beforeWrite?.();
      store.beforeWrite = undefined;
      if (!isFirst) return undefined;
      store.state = next;
      store.written.push(drain);
      return ++store.revision;
    },
    take() {
      taken = store.drain;
      return registry.applyShared({ ...store, settings: SETTINGS });
    },
    drainOf: () => taken,
    appliedByAll: async () => {},
  };
  const told: number[] = [];
  const drains = new Drains({
    log: recordLog(),
    threadCount: 1,
    tell: (message) => {
      if (message.kind === 'drain-backend') told.push(message.deadlineMs);
    },
    moveSessions: async () => {},
    poolOf: () => 'default',
    countersOf: (id) => registry.backend(id)?.counters,
    // So that it is drained at the deadline and not before.
    hasSessions: () => true,
  });
  const kept = new StateStore(undefined);
  const log = recordLog();
  const operator = new Operator({ registry, store: kept, log, drains, publish: noWait, shared });
  return { registry, store, told, operator };
}

async function noWait(): Promise<void> {}

function elsewhere(ms: number): DrainTerms {
  return { ms, sessions: 'keep', cutsRequests: false, begunAt: Date.now() };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a removal that is asked for again, with another deadline, is written again', async () => {
  const { store, told, operator } = setUp();
  await operator.sharedChanged();
  await operator.leave(1, 60_000);
  await vi.advanceTimersByTimeAsync(30_000);
  await operator.leave(1, 600_000);
  const place = { pool: 'default', url: 'http://b' };
  expect(store.written).toMatchObject([
    { ...place, ms: 60_000 },
    { ...place, ms: 600_000 },
  ]);
  expect(told).toEqual([60_000, 600_000]);
  // What asks for nothing is written by nobody.
  await operator.update(0, { state: 'enabled' });
  expect(store.written).toHaveLength(2);
});

test.each(['asked for it', 'finishes it for another one'])(
  'nor is the backend removed at the old deadline by the instance that %s, where the new one is written first',
  async (who) => {
    const { registry, store, told, operator } = setUp();
    await operator.sharedChanged();
    await operator.leave(1, 60_000);
    const again = () => {
      store.drain = elsewhere(600_000);
      store.revision++;
    };
    if (who === 'asked for it') {
      await vi.advanceTimersByTimeAsync(59_000);
      store.beforeWrite = again;
      await vi.advanceTimersByTimeAsync(5_000);
    } else {
      store.drain = elsewhere(60_000);
      await operator.sharedChanged();
      await vi.advanceTimersByTimeAsync(64_000);
      store.beforeWrite = again;
      await operator.finishRemoval('default', 'http://b').catch(() => {});
    }
    expect(store.beforeWrite).toBeUndefined();
    expect(told.at(-1)).toBe(600_000);
    expect(registry.backend(1)).toMatchObject({ adminState: 'draining' });
  },
);

test('a drain that was called off and begun again in one step is begun', async () => {
  const { registry, store, told, operator } = setUp();
  await operator.sharedChanged();
  await operator.update(1, { state: 'draining' }, undefined, 60_000);
  // As others see it: the same state, of another drain.
  store.drain = elsewhere(10_000);
  store.revision++;
  const { generation } = registry;
  await operator.sharedChanged();
  expect(registry.generation).toBe(generation);
  expect(told).toEqual([60_000, 10_000]);
});

test('a weight that is set with the state of a backend that drains leaves its drain as it is', async () => {
  const { store, told, operator } = setUp();
  await operator.sharedChanged();
  await operator.update(1, { state: 'draining' }, undefined, 600_000);
  await operator.update(1, { state: 'draining', weight: 5 });
  expect(store.written).toMatchObject([{ ms: 600_000 }, undefined]);
  await operator.update(1, { state: 'draining', weight: 6 }, undefined, 10_000);
  expect(store.written.at(-1)).toMatchObject({ ms: 10_000 });
  expect(told).toEqual([600_000, 10_000]);
});
