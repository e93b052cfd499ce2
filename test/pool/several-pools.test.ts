/**
 * Several pools in one data thread share its memory and nothing else. Three traps: one ticket for all of them makes two pools
 * that take turns each use half of their backends; one table erases another pool's sessions; equal rate limits share an allowance.
 */
import { expect, test } from 'vitest';
import type { RouteSettings, Settings } from '../../src/config/settings.ts';
import { Registry } from '../../src/control/registry.ts';
import type { Backend } from '../../src/data/backend/backend.ts';
import type { Pool } from '../../src/data/pool/pool.ts';
import type { Target } from '../../src/data/pool/target.ts';
import type { View } from '../../src/data/pool/view.ts';
import { createView } from '../../src/data/pool/view.ts';
import type { Snapshot } from '../../src/snapshot/snapshot.ts';
import { backend, type FlatSettings, poolSettings, settings } from '../control/fixtures.ts';
import { matchOf } from '../support/routes.ts';
import { getWith, goodFactsOf, held } from '../wire/parse.ts';
import { viewParts } from './view-parts.ts';

const URLS = [1, 2, 3, 4].map((port) => `http://127.0.0.1:${port}`);

/** Two pools with the same policies, each with two of four backends, all of them healthy. */
function snapshotOf(policies: Partial<FlatSettings>, names = ['web']): Snapshot {
  const [first = [], second = []] = [URLS.slice(0, 2), URLS.slice(2)].map((urls) =>
    urls.map((url) => backend(url)),
  );
  const others = names.map((name) => poolSettings(name, { ...policies, backends: second }));
  const registry = new Registry({
    settings: settings({ ...policies, backends: first }, others),
    threadCount: 1,
  });
  for (const pool of registry.pools()) {
    for (const { id } of pool.backends()) pool.live.setHealth(id, 'healthy', 'ok');
  }
  return registry.snapshot();
}

function poolsOf(view: View): Pool[] {
  return [...view.pools.values()];
}

function setUp(policies: Partial<FlatSettings>): [Pool, Pool] {
  const view = createView(snapshotOf(policies), null, viewParts());
  expect(view.pools.size).toBe(2);
  expect(poolsOf(view)[0]).toBe(view.defaultPool);
  return poolsOf(view) as [Pool, Pool];
}

function bind({ view }: Pool, id: number): void {
  view.sessions?.bind('client', view.backends.get(id) as Backend, null);
}

/** How many requests of a client conform at once. */
function allowed({ view }: Pool): number {
  let count = 0;
  while (count < 10 && view.policies.rateLimiter?.take('client', 1000) === 0) count++;
  return count;
}

test('two pools that take turns use all of their backends', () => {
  const pools = setUp({});
  const picked = new Set<number | undefined>();
  for (let round = 0; round < 8; round++) {
    for (const { view } of pools) picked.add(view.strategy.pick('client', null)?.id);
  }
  expect([...picked].toSorted()).toEqual([0, 1, 2, 3]);
});

test('a client has a session in each of two pools', () => {
  const [one, two] = setUp({
    sticky: {
      key: { by: 'ip', name: '' },
      ttlMs: 60_000,
      secret: undefined,
      cookie: null,
      learns: null,
      isShared: false,
    },
  });
  bind(one, 1);
  bind(two, 3);
  expect(one.view.sessions?.lookup('client')?.id).toBe(1);
  expect(two.view.sessions?.lookup('client')?.id).toBe(3);
});

test('equal rate limits of two pools are two allowances', () => {
  const key = { by: 'ip', name: '' } as const;
  const [one, two] = setUp({ rateLimit: { key, rate: 1, perMs: 1000, burst: 3 } });
  expect([allowed(one), allowed(two)]).toEqual([3, 3]);
});

test('a limit that instances share is divided by those that are alive, or by what the config says', () => {
  const key = { by: 'ip', name: '' } as const;
  const limit = { key, rate: 1, perMs: 60_000, burst: 12, scope: 'shared' } as const;
  const registry = new Registry({
    settings: { ...settings({ rateLimit: limit }), instances: 3 },
    threadCount: 1,
  });
  const allowedNow = () => allowed(createView(registry.snapshot(), null, viewParts()).defaultPool);
  expect(allowedNow()).toBe(4);
  registry.instancesAlive = 2;
  expect(allowedNow()).toBe(6);
});

test('gates, queues and retry budgets are of one pool', () => {
  const [one, two] = setUp({});
  expect(one.counters.tryEnqueue(1, true)).toBe(true);
  expect(one.queue.hasLine).toBe(true);
  expect(two.queue.hasLine).toBe(false);
  expect(two.counters.tryEnqueue(1, true)).toBe(true);
  while (one.retryBudget.has(20)) one.retryBudget.withdraw();
  expect(two.retryBudget.has(20)).toBe(true);
});

test('a pool that stays keeps what lives in it, and one that has left serves who is there', () => {
  const parts = viewParts();
  const before = createView(snapshotOf({}, ['web', 'api']), null, parts);
  const [first, web] = poolsOf(before) as [Pool, Pool];
  const { snapshot } = before;
  const without = { ...snapshot, pools: snapshot.pools.filter(({ name }) => name !== 'web') };
  const after = createView(without, before, parts);
  expect(poolsOf(after).map(({ view }) => view.spec.name)).toEqual(['default', 'api']);
  expect(after.defaultPool).toBe(first);
  expect(after.backends.get(0)).toBe(before.backends.get(0));
  expect(after.backends.has(2)).toBe(false);
  expect(web.view.eligible.map(({ id }) => id)).toEqual([2, 3]);
  expect(web.view.strategy.pick('client', null)).toBe(before.backends.get(2));
});

test('policies of a route are merged once for each of its pools, and those of a pool are not copied', () => {
  const snapshot = snapshotOf({});
  const [first, second] = snapshot.pools;
  const plain = {
    ...(snapshot.routes[0] as Snapshot['routes'][number]),
    match: matchOf({ path: '/a' }),
  };
  const own = {
    ...plain,
    match: matchOf({ path: '/b' }),
    action: { kind: 'pool', poolId: second?.id ?? -1 },
    policies: { timeouts: { totalMs: 7 }, retries: { attempts: 9 }, bodyBytes: 5, rateLimit: null },
  } as const;
  const view = createView({ ...snapshot, routes: [plain, own] }, null, viewParts());
  const found = (path: string): Target => {
    const text = getWith().replace('/', path);
    return view.router?.find(goodFactsOf(text), held('request', text), false) as Target;
  };
  expect(found('/a').policies).toBe(view.defaultPool.view.policies);
  const { policies, pool } = found('/b');
  expect(policies).toBe(found('/b/c').policies);
  expect(pool).toBe(poolsOf(view)[1]);
  expect(policies).toEqual({
    timeouts: { ...second?.timeouts, totalMs: 7 },
    retries: { ...second?.retries, attempts: 9 },
    bodyBytes: 5,
    rateLimiter: null,
    needsKeys: false,
  });
  expect(first?.timeouts.totalMs).toBe(0);
});

test.each([
  ['policies', { timeouts: { totalMs: 7 }, retries: {} }],
  ['mirror', { poolId: 1, percent: 1 }],
  ['cors', { origins: [], methods: [], headers: [], exposed: [], maxAgeSeconds: 0 }],
])('one route for all is looked at where it has %s, else none is', (key, value) => {
  const snapshot = snapshotOf({});
  const poolId = snapshot.pools[1]?.id ?? -1;
  const own = key === 'mirror' ? { ...value, poolId } : value;
  const [route] = snapshot.routes;
  const routes = [{ ...route, [key]: own }] as unknown as Snapshot['routes'];
  expect(createView(snapshot, null, viewParts()).router).toBeNull();
  expect(createView({ ...snapshot, routes }, null, viewParts()).router).not.toBeNull();
});

test('routes are compiled anew only where what they match has changed', () => {
  const parts = viewParts();
  const [route] = settings().routes as [RouteSettings];
  const routesOf = (...hosts: string[]): Settings['routes'] =>
    hosts.map((host) => ({ ...route, match: matchOf({ host }) }));
  const registry = new Registry({
    settings: { ...settings(), routes: routesOf('a.example', 'b.example') },
    threadCount: 1,
  });
  const first = createView(registry.snapshot(), null, parts);
  const reloaded = (changes: Partial<Settings>, previous: View): View => {
    expect(registry.applyConfig({ ...registry.settings, ...changes })).toBe(true);
    return createView(registry.snapshot(), previous, parts);
  };
  const second = reloaded({ drainMs: 1 }, first);
  expect(first.router?.table).toBeDefined();
  expect(second.router?.table).toBe(first.router?.table);
  const third = reloaded({ routes: routesOf('b.example', 'a.example') }, second);
  expect(third.router?.table).toBeDefined();
  expect(third.router?.table).not.toBe(first.router?.table);
});
