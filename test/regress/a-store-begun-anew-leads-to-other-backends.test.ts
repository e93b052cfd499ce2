/**
 * A store of a cluster that is begun anew may give the id of one backend to another: whoever knew the id went on with the address of
 * before, and requests went to the wrong server until a restart.
 */
import { expect, test } from 'vitest';
import type { Settings } from '../../src/config/settings.ts';
import type { SharedChanges } from '../../src/control/cluster-port.ts';
import { Registry } from '../../src/control/registry.ts';
import { renumberSessions } from '../../src/control/renumbering.ts';
import { Sharing } from '../../src/control/sharing.ts';
import { NO_OPERATOR_STATE } from '../../src/control/state/operator-state.ts';
import { SessionTable } from '../../src/data/balance/session-table.ts';
import { createClientTable } from '../../src/snapshot/client-table.ts';
import { backend, poolSettings, recordLog, settings } from '../control/fixtures.ts';

function listed(...urls: string[]) {
  return settings({ backends: urls.map((url) => backend(url)) });
}

function twoPools(own: string[], other: string): Settings {
  return settings({ backends: own.map((url) => backend(url)) }, [
    poolSettings('other', { backends: [backend(other)] }),
  ]);
}

/** @param nextId of the store before, where backends have come and gone. */
function run(before: Settings, after: Settings, nextId = 0) {
  const operatorState = { ...NO_OPERATOR_STATE, nextId };
  const registry = new Registry({ settings: before, threadCount: 1, operatorState });
  const others = new Registry({ settings: after, threadCount: 1 });
  const renumbered: ReadonlyMap<number, number | undefined>[] = [];
  const published: [id: number, url: string][][] = [];
  const gone: number[] = [];
  const sharing = new Sharing({
    shared: {
      take: () =>
        registry.applyShared({
          settings: others.settings,
          state: others.keptState,
          revision: 1,
        }),
      drainOf: () => undefined,
    } as unknown as SharedChanges,
    registry,
    log: recordLog(),
    publish: async () => {
      const { pools } = registry.snapshot();
      published.push(
        pools.flatMap(({ backends }) =>
          backends.map(({ id, url }) => [id, url] as [number, string]),
        ),
      );
    },
    onRenumbered: (ids) => renumbered.push(ids),
    onGone: (id) => gone.push(id),
    onState: async () => {},
  });
  return { registry, sharing, published, gone, renumbered };
}

test('an id leads to the address that the new store has, and before that to nobody', async () => {
  const { registry, sharing, published, gone } = run(
    listed('http://a', 'http://b', 'http://kept'),
    listed('http://b', 'http://a', 'http://kept', 'http://c'),
  );
  const buffers = new Set(registry.backends().map(({ counters }) => counters));
  await sharing.take();
  // What one backend has counted, and what is found out about it, is never the other's.
  expect(published).toEqual([
    [
      [2, 'http://kept'],
      [3, 'http://c'],
    ],
    [
      [0, 'http://b'],
      [1, 'http://a'],
      [2, 'http://kept'],
      [3, 'http://c'],
    ],
  ]);
  expect(gone).toEqual([0, 1]);
  expect(registry.backends().filter(({ counters }) => buffers.has(counters))).toHaveLength(1);
  await sharing.take();
  expect(published).toHaveLength(2);
});

test.each([
  ['that was the other one’s', 0],
  ['that nobody had', 10],
])('who has another id, %s, keeps its health and its sessions', async (_, first) => {
  const { registry, sharing, renumbered } = run(
    listed('http://a', 'http://b'),
    listed('http://b', 'http://a'),
    first,
  );
  const [a, b] = [{ id: first }, { id: first + 1 }];
  for (const { id } of registry.backends()) {
    registry.defaultPool.live.setHealth(id, 'healthy', 'ok');
    registry.defaultPool.live.recordCheck(id, true);
  }
  registry.defaultPool.live.setHealth(b.id, 'unhealthy', 'refused');
  const memory = createClientTable({ buckets: 4, values: 1, epochMs: 0 });
  const table = new SessionTable<{ id: number }>(
    { memory, owner: 'default', ttlMs: 60_000 },
    () => 1_000,
    () => {},
  );
  table.rebuild([a, b]);
  table.put('of a', a);
  table.put('of b', b);
  await sharing.take();
  expect(registry.backends().map(({ address, health }) => [address.url, health])).toEqual([
    ['http://b', 'unhealthy'],
    ['http://a', 'healthy'],
  ]);
  for (const ids of renumbered) renumberSessions(memory, ids);
  table.rebuild([{ id: 0 }, { id: 1 }]);
  expect([table.lookup('of a'), table.lookup('of b')]).toEqual([{ id: 1 }, { id: 0 }]);
});

test('an id that goes to another pool leaves the first one before', async () => {
  const { sharing, published } = run(
    twoPools(['http://x', 'http://y'], 'http://z'),
    twoPools(['http://x'], 'http://z'),
  );
  await sharing.take();
  expect(published).toEqual([
    [[0, 'http://x']],
    [
      [0, 'http://x'],
      [1, 'http://z'],
    ],
  ]);
});

test('a store that gives everybody the id of before changes it in one step', async () => {
  const { sharing, published } = run(
    listed('http://a', 'http://b'),
    listed('http://a', 'http://b', 'http://c'),
  );
  await sharing.take();
  expect(published).toHaveLength(1);
});
