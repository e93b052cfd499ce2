/** What operators and other instances change in a cluster, with what stands for its store in the test. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { NotShared, type SharedChanges } from '../../src/control/cluster-port.ts';
import { Drains } from '../../src/control/drains.ts';
import { Operator } from '../../src/control/operator.ts';
import { Registry } from '../../src/control/registry.ts';
import { StateStore } from '../../src/control/state/state-file.ts';
import { backend, recordLog, settings } from './fixtures.ts';

function listed(...urls: string[]) {
  return settings({ backends: urls.map((url) => backend(url)) });
}

function made() {
  const log = recordLog();
  const registry = new Registry({ settings: listed('http://a', 'http://b'), threadCount: 1 });
  const store = { isDown: false, revision: 1, writes: [] as { at: number | undefined }[] };
  let wanted = registry.settings;
  const shared: SharedChanges = {
    nextId: 100,
    async write(_before, _next, { at }) {
      store.writes.push({ at });
      if (store.isDown) throw new NotShared('unavailable', 'it is down');
      return ++store.revision;
    },
    take: () =>
      registry.applyShared({
        settings: wanted,
        state: registry.keptState,
        revision: ++store.revision,
      }),
    drainOf: () => undefined,
    appliedByAll: async () => {},
  };
  const drains = new Drains({
    log: recordLog(),
    threadCount: 1,
    tell: () => {},
    moveSessions: async () => {},
    poolOf: () => 'default',
    countersOf: (id) => registry.backend(id)?.counters,
    hasSessions: () => false,
  });
  const operator = new Operator({
    registry,
    store: new StateStore(undefined),
    log,
    drains,
    publish: async () => {},
    shared,
  });
  const take = async (...urls: string[]): Promise<void> => {
    wanted = listed(...urls);
    await operator.sharedChanged();
  };
  const ids = () => registry.backends().map(({ id }) => id);
  return { log, store, operator, take, ids };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a removal that the store does not take is asked of it again, until it does, and told to have failed once', async () => {
  const { log, store, operator, ids } = made();
  await operator.leave(1, 60_000);
  store.isDown = true;
  await vi.advanceTimersByTimeAsync(12_000);
  expect(ids()).toEqual([0, 1]);
  expect(store.writes).toHaveLength(4);
  expect(log.events().filter((event) => event === 'backend.removal_failed')).toHaveLength(1);
  store.isDown = false;
  await vi.advanceTimersByTimeAsync(5_000);
  expect(ids()).toEqual([0]);
  // It rests on what it is about, and not on all that the store has.
  expect(store.writes.every(({ at }) => at === undefined)).toBe(true);
});

test.each(['called off', 'stopped'])('it is not asked for again when it is %s', async (why) => {
  const { store, operator, ids } = made();
  await operator.leave(1, 60_000);
  store.isDown = true;
  await vi.advanceTimersByTimeAsync(1_000);
  store.isDown = false;
  if (why === 'stopped') await operator.stop();
  else await operator.update(1, { state: 'enabled' });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(ids()).toEqual([0, 1]);
});

test('what others add and remove is told, but not what is there at the start', async () => {
  const { log, take } = made();
  await take('http://a', 'http://c');
  expect(log.events()).toEqual([]);
  await take('http://a', 'http://d');
  expect(log.lines).toMatchObject([
    {
      event: 'backend.removed',
      message: 'http://c was removed at another instance, or by an import',
      fields: { by: 'cluster' },
    },
    { event: 'backend.added', fields: { backend: 'http://d', by: 'cluster' } },
  ]);
});

test('of many at once, some are told by name, and how many more there are', async () => {
  const { log, take } = made();
  await take('http://a');
  await take(...Array.from({ length: 30 }, (_, index) => `http://h${index}`));
  const added = log.lines.filter(({ event }) => event === 'backend.added');
  expect(added).toHaveLength(21);
  expect(added.at(-1)).toMatchObject({ fields: { count: 10, by: 'cluster' } });
});
