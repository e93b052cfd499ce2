/**
 * An instance of a cluster went on with its start while the first copy of the store was still being taken: so after an upgrade nothing was known
 * of its backends (health, ejections, sessions), and it could listen before their first checks.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { storeWith } from '../control/cluster/made.ts';
import { instanceOn } from '../control/cluster/made-instance.ts';

test('a start goes on when what the store holds is run on', async () => {
  const store = await storeWith({
    pools: { web: { backends: ['http://a'] } },
    routes: [{ path: '/', pool: 'web' }],
  });
  const { registry } = await instanceOn(store, { beforeTaking: () => sleep(20) });
  expect(registry.pools().map(({ name }) => name)).toContain('web');
});
