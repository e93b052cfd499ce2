/**
 * A backend that drained already was drained anew at one instance of a cluster, with another deadline. That is no other state: nothing was written,
 * and all other instances went on with the deadline of before.
 */
import { expect, test } from 'vitest';
import { KEPT } from '../../src/control/change-terms.ts';
import { storeWith } from '../control/cluster/made.ts';
import { instanceOn } from '../control/cluster/made-instance.ts';

test('all instances have the deadline of the drain that was begun last', async () => {
  const store = await storeWith({
    pools: { web: { backends: ['http://a'] } },
    routes: [{ path: '/', pool: 'web' }],
  });
  const one = await instanceOn(store, { name: 'one' });
  const two = await instanceOn(store, { name: 'two' });
  const drain = (at: typeof one, ms?: number) =>
    at.operator.update(0, { state: 'draining' }, KEPT, ms);
  await drain(one, 60_000);
  await expect.poll(() => two.drainMs).toEqual([60_000]);
  await drain(one, 5_000);
  await expect.poll(() => two.drainMs).toEqual([60_000, 5_000]);
  // Asked for without a deadline it is the one that is under way.
  await drain(two);
  await drain(two, 7_000);
  await expect.poll(() => one.drainMs).toEqual([60_000, 5_000, 7_000]);
  expect(two.drainMs).toEqual([60_000, 5_000, 7_000]);
});
