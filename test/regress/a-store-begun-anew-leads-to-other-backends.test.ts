/**
 * A store of a cluster that is begun anew may give the id of one backend to another: whoever knew the id went on with the address of
 * before, and requests went to the wrong server until a restart.
 */
import { expect, test } from 'vitest';
import type { SharedChanges } from '../../src/control/cluster-port.ts';
import { Registry } from '../../src/control/registry.ts';
import { Sharing } from '../../src/control/sharing.ts';
import { backend, recordLog, settings } from '../control/fixtures.ts';

function listed(...urls: string[]) {
  return settings({ backends: urls.map((url) => backend(url)) });
}

function run(before: string[], after: string[]) {
  const registry = new Registry({ settings: listed(...before), threadCount: 1 });
  const others = new Registry({ settings: listed(...after), threadCount: 1 });
  const published: [id: number, url: string][][] = [];
  const gone: number[] = [];
  const told = recordLog();
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
    log: told,
    publish: async () => {
      const { backends } = registry.snapshot().pools[0] ?? { backends: [] };
      published.push(backends.map(({ id, url }) => [id, url]));
    },
    onGone: (id) => gone.push(id),
    onState: async () => {},
  });
  return { registry, sharing, published, gone, told };
}

test('an id leads to the address that the new store has, and before that to nobody', async () => {
  const { registry, sharing, published, gone } = run(
    ['http://a', 'http://b', 'http://kept'],
    ['http://b', 'http://a', 'http://kept', 'http://c'],
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

test('a store that gives everybody the id of before changes it in one step', async () => {
  const { sharing, published } = run(
    ['http://a', 'http://b'],
    ['http://a', 'http://b', 'http://c'],
  );
  await sharing.take();
  expect(published).toHaveLength(1);
});
