import { expect, test } from 'vitest';
import { Drains, type DrainsOptions } from '../../src/control/drains.ts';
import { BackendCounters } from '../../src/snapshot/counters.ts';
import { backend, poolRegistry, recordLog, settings } from './fixtures.ts';

function setUp() {
  const told: Parameters<DrainsOptions['tell']>[0][] = [];
  const log = recordLog();
  const registry = poolRegistry({
    settings: settings({ backends: [backend('http://localhost:8081')] }),
    threadCount: 2,
  });
  const drains = new Drains({
    log,
    threadCount: 2,
    tell: (message) => told.push(message),
    moveSessions: async () => {},
    poolOf: () => 'default',
    countersOf: (id) => registry.backend(id)?.counters,
    hasSessions: () => false,
    now: () => Date.UTC(2026, 0, 1),
  });
  const one = registry.backends()[0] as NonNullable<ReturnType<typeof registry.backend>>;
  return { told, log, registry, drains, one };
}

test('a drain is told to the threads, and shows what they count', () => {
  const { told, log, registry, drains, one } = setUp();
  expect(drains.view(one)).toBeUndefined();
  registry.planUpdate(0, { state: 'draining' }).commit();
  drains.start(0, 30_000);
  const threads = [0, 1].map((index) => new BackendCounters(one.counters, index, 2));
  for (const thread of threads) {
    thread.requestStarted();
    thread.tunnelsChanged(1);
  }
  threads[0]?.requestStarted();
  for (const thread of [0, 1, 1]) threads[thread]?.tunnelCut();
  threads[0]?.requestsCut(2);
  threads[1]?.requestsCut(3);
  expect(drains.view(one)).toEqual({
    draining: {
      since: '2026-01-01T00:00:00.000Z',
      deadline: '2026-01-01T00:00:30.000Z',
      in_flight: 3,
      tunnels: 2,
      cut: 3,
      cut_requests: 5,
      sessions: 'keep',
    },
    drained: false,
  });
  drains.tunnelsCut(0, 1);
  drains.requestsCut(0, 5);
  expect(log.events()).toEqual(['backend.tunnels_cut', 'backend.requests_cut']);
  drains.cancel(0);
  expect(told).toEqual([
    { kind: 'drain-backend', backendId: 0, deadlineMs: 30_000 },
    { kind: 'keep-backend', backendId: 0 },
  ]);
});

test('a drain from before the start of the process has no times, and nothing left', () => {
  const { registry, drains, one } = setUp();
  registry.planUpdate(0, { state: 'draining' }).commit();
  expect(drains.view(one)).toEqual({
    draining: {
      since: null,
      deadline: null,
      in_flight: 0,
      tunnels: 0,
      cut: 0,
      cut_requests: 0,
      sessions: 'keep',
    },
    drained: true,
  });
});

test('a removed backend is forgotten without a word to the threads, whose drain goes on', () => {
  const { told, log, drains } = setUp();
  drains.start(0, 1_000);
  drains.forget(0);
  drains.tunnelsCut(0, 1);
  expect(told.map(({ kind }) => kind)).toEqual(['drain-backend']);
  expect(log.events()).toEqual(['backend.tunnels_cut']);
});
