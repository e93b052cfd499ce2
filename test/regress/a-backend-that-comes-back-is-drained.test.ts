/**
 * A backend was removed while it drained, and came back as what it was. The data threads still drained it: new WebSockets there were told to go,
 * and at the old deadline all of them were cut, or all requests where the drain was to cut them.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { SharedChanges } from '../../src/control/cluster-port.ts';
import { Drains, type DrainsOptions } from '../../src/control/drains.ts';
import { Operator } from '../../src/control/operator.ts';
import { Registry } from '../../src/control/registry.ts';
import { StateStore } from '../../src/control/state/state-file.ts';
import { address, backend, recordLog, settings } from '../control/fixtures.ts';

const BOTH = settings({ backends: ['http://a', 'http://b'].map((url) => backend(url)) });
const ONE = settings({ backends: [backend('http://a')] });
const BACK = { weight: 1, isBackup: false, state: 'enabled', id: 1 } as const;

function setUp() {
  const told: Parameters<DrainsOptions['tell']>[0]['kind'][] = [];
  const log = recordLog();
  const registry = new Registry({ settings: BOTH, threadCount: 1 });
  const drains = new Drains({
    log,
    threadCount: 1,
    tell: ({ kind }) => told.push(kind),
    moveSessions: async () => {},
    poolOf: () => 'default',
    countersOf: (id) => registry.backend(id)?.counters,
    hasSessions: () => false,
  });
  const store = new StateStore(undefined);
  const options = { registry, store, log, drains, publish: async () => {} };
  return { told, registry, options, operator: new Operator(options) };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('one that is added again is not drained any more', async () => {
  const { told, registry, operator } = setUp();
  await operator.leave(1, 300_000);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(registry.backend(1)).toBeUndefined();
  await operator.add('default', address('http://b'), BACK);
  expect(told).toEqual(['drain-backend', 'keep-backend']);
});

test('nor is what is in flight there cut at the deadline of a drain that a reload has ended', async () => {
  const { told, operator } = setUp();
  await operator.update(1, { state: 'draining' }, undefined, 60_000, 'keep', true);
  await operator.reload(async () => ONE);
  await operator.add('default', address('http://b'), BACK);
  await vi.advanceTimersByTimeAsync(61_000);
  expect(told).toEqual(['drain-backend', 'keep-backend']);
});

test.each(['enabled', 'draining'] as const)(
  'one that another instance takes away and adds again, then %s, is not cut at the old deadline',
  async (state) => {
    const { told, registry, options } = setUp();
    let stored = { settings: BOTH, state: registry.keptState, revision: 1 };
    const shared: SharedChanges = {
      nextId: 2,
      write: async () => stored.revision,
      take: () => registry.applyShared(stored),
      drainOf: () => undefined,
      appliedByAll: async () => {},
    };
    const operator = new Operator({ ...options, shared });
    await operator.sharedChanged();
    await operator.update(1, { state: 'draining' }, undefined, 60_000, 'keep', true);
    const draining = registry.keptState;
    const enabled = stored.state;
    stored = { ...stored, settings: ONE, revision: 2 };
    await operator.sharedChanged();
    expect(registry.backend(1)).toBeUndefined();
    stored = { settings: BOTH, state: state === 'enabled' ? enabled : draining, revision: 3 };
    await operator.sharedChanged();
    expect(registry.backend(1)).toMatchObject({ adminState: state });
    // Well before the end of the new drain, if there is one.
    await vi.advanceTimersByTimeAsync(20_000);
    if (state === 'draining') await operator.update(1, { state: 'enabled' });
    await vi.advanceTimersByTimeAsync(60_000);
    const after = state === 'enabled' ? ['keep-backend'] : ['drain-backend', 'keep-backend'];
    expect(told).toEqual(['drain-backend', ...after]);
  },
);
