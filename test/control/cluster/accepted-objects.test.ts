/** What an instance runs on where something in the store is not valid. */
import { expect, test } from 'vitest';
import { type Accepted, accept } from '../../../src/control/cluster/accepted-objects.ts';
import type { RegistryStore } from '../../../src/control/cluster/registry-store.ts';
import { instanceLoad, KEYS, objectsIn, storeWith } from './made.ts';

const SHOP = {
  pools: {
    web: { backends: ['http://a', { url: 'http://b', weight: 3 }] },
    api: { strategy: 'random-two', backends: ['http://c'] },
  },
  routes: [
    { path: '/api/', pool: 'api' },
    { path: '/', pool: 'web' },
  ],
};

async function acceptFrom(store: RegistryStore, before?: Accepted): Promise<Accepted> {
  const accepted = accept(await objectsIn(store), before, KEYS, instanceLoad);
  if (accepted === undefined) throw new Error('nothing was accepted');
  return accepted;
}

/** What requests meet. */
function shown({ loaded: { settings } }: Accepted): object {
  return {
    pools: settings.pools.map(({ name, strategy, backends }) => ({
      name,
      strategy,
      backends: backends.map(({ url, weight }) => `${url} ${weight}`),
    })),
    routes: settings.routes.map(({ match, action }) => [match.path, action]),
  };
}

async function put(store: RegistryStore, key: string, value: string): Promise<void> {
  await store.commit({ conditions: [], writes: [{ put: key, value }] });
}

test('runs on what a file said that the store was begun with', async () => {
  const accepted = await acceptFrom(await storeWith(SHOP));
  expect(accepted.refusals).toEqual([]);
  expect(shown(accepted)).toMatchObject({
    pools: [
      { name: 'default', backends: [] },
      { name: 'api', strategy: 'random-two', backends: ['http://c 1'] },
      { name: 'web', strategy: 'round-robin', backends: ['http://a 1', 'http://b 3'] },
    ],
  });
  expect(accepted.loaded.settings.routes).toHaveLength(2);
});

test('what stands at the top level of the file is the pool default, in every name that it has', async () => {
  const accepted = await acceptFrom(
    await storeWith({
      backends: ['http://:3001'],
      enable_sticky_sessions: true,
      sticky_session_ttl: '2m',
      health_check_path: '/up',
      request_timeout: '7s',
      timeouts: { connect: '3s', idle: '9s', head: '4s' },
      retries: false,
    }),
  );
  const [pool] = accepted.loaded.settings.pools;
  expect(pool).toMatchObject({
    name: 'default',
    sticky: { ttlMs: 120_000 },
    healthCheck: { path: '/up' },
    timeouts: { responseMs: 7000, connectMs: 3000, idleMs: 9000 },
    retries: { attempts: 1 },
  });
  expect(pool.backends.map(({ url }) => url)).toEqual(['http://localhost:3001']);
});

test.each([
  ['no JSON', '{'],
  ['another form', '{"v":2,"pool":{}}'],
  ['a key that nobody knows', '{"v":1,"pool":{"stratgey":"random-two"}}'],
  ['a value that is none', '{"v":1,"pool":{"strategy":"best"}}'],
])(
  'a pool that was broken by hand keeps what it was (%s), and the others follow',
  async (_, value) => {
    const store = await storeWith(SHOP);
    const before = await acceptFrom(store);
    await put(store, KEYS.pool('web'), value);
    await put(store, KEYS.pool('api'), '{"v":1,"pool":{"strategy":"ip-hash"}}');
    const after = await acceptFrom(store, before);
    expect(after.refusals.map(({ key }) => key)).toEqual([KEYS.pool('web')]);
    const strategies = after.loaded.settings.pools.map(({ name, strategy }) => [name, strategy]);
    expect(strategies).toEqual([
      ['default', 'round-robin'],
      ['api', 'ip-hash'],
      ['web', 'round-robin'],
    ]);
    // What lies on the disk is what is run on.
    expect(after.objects.get(KEYS.pool('web'))).toBe(before.objects.get(KEYS.pool('web')));

    await put(store, KEYS.pool('web'), '{"v":1,"pool":{"strategy":"random-two"}}');
    const mended = await acceptFrom(store, after);
    expect(mended.refusals).toEqual([]);
    expect(mended.loaded.settings.pools[2]?.strategy).toBe('random-two');
  },
);

test('a backend that is not valid is left out where it is new, and its pool serves', async () => {
  const store = await storeWith(SHOP);
  const before = await acceptFrom(store);
  const key = KEYS.backend('web', 77);
  await put(store, key, '{"v":1,"url":"ftp://x","weight":1,"backup":false,"source":"config"}');
  const after = await acceptFrom(store, before);
  expect(after.refusals).toEqual([
    { key, reason: expect.stringContaining('pools.web.backends.2') },
  ]);
  expect(shown(after)).toEqual(shown(before));
});

test('a pool that a route needs stays where somebody has taken it away', async () => {
  const store = await storeWith(SHOP);
  const before = await acceptFrom(store);
  await store.commit({ conditions: [], writes: [{ remove: KEYS.pool('api') }] });
  const after = await acceptFrom(store, before);
  expect(shown(after)).toEqual(shown(before));
  expect(after.refusals).toEqual([
    { key: KEYS.pool('api'), reason: expect.stringContaining(KEYS.route('1')) },
  ]);
  // With its route it goes.
  await store.commit({ conditions: [], writes: [{ remove: KEYS.route('1') }] });
  const gone = await acceptFrom(store, after);
  expect(gone.refusals).toEqual([]);
  expect(gone.loaded.settings.pools.map(({ name }) => name)).toEqual(['default', 'web']);
});

test('an instance that has nothing from before runs on what is valid', async () => {
  const store = await storeWith(SHOP);
  await put(store, KEYS.pool('api'), '{"v":1,"pool":{"strategy":"best"}}');
  const accepted = await acceptFrom(store);
  expect(accepted.refusals.map(({ key }) => key).toSorted()).toEqual([
    KEYS.pool('api'),
    KEYS.route('1'),
  ]);
  expect(accepted.loaded.settings.routes).toHaveLength(1);
});

test('what has not changed is not compiled again', async () => {
  const store = await storeWith(SHOP);
  const before = await acceptFrom(store);
  await put(store, KEYS.poolControl('web'), '{"v":1,"strategy":"random-two"}');
  const after = await acceptFrom(store, before);
  expect(after.loaded).toBe(before.loaded);
  expect(after.objects.size).toBe(before.objects.size + 1);
  expect([...after.wishes.keys()]).toEqual(['web']);
});
