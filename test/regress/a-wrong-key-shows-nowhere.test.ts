/**
 * An instance with another `cluster.key_file` than the others, or with none, could read none of their secrets: sessions were its own, which one
 * line of its log said (none, without a key). `fairlead cluster status`, `GET /cluster` and the metric said that nothing was refused.
 */
import { expect, test } from 'vitest';
import { Seal } from '../../src/control/cluster/sealed.ts';
import { KEYS, storeWith } from '../control/cluster/made.ts';
import { instanceOn } from '../control/cluster/made-instance.ts';

const [KEY, OTHER] = ['11', '22'].map((byte) => byte.repeat(32)) as [string, string];

test.each([
  [OTHER, /sealed with a key that is not here/],
  [undefined, /this instance has no cluster\.key_file/],
])('with the key %s, the secrets of the others are shown as refused', async (key, reason) => {
  const store = await storeWith({
    pools: { web: { backends: ['http://a'] } },
    routes: [{ path: '/', pool: 'web' }],
  });
  const sealed = Seal.of(KEY).seal('cookies', 'a secret');
  const value = JSON.stringify({ v: 1, sealed, made_at: Date.now() });
  await store.commit({ conditions: [], writes: [{ put: KEYS.secret('cookies'), value }] });
  const { instance } = await instanceOn(store, { key });
  expect(instance.figures.refusedObjects).toBe(1);
  expect(await instance.describe()).toMatchObject({
    refused: [{ key: KEYS.secret('cookies'), reason: expect.stringMatching(reason) }],
  });
});
