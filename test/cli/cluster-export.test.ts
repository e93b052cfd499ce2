/** `fairlead cluster export --kept`: after the store was lost, of what an instance has on its disk, and no etcd is asked. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { LastKnownGood } from '../../src/control/cluster/last-known-good.ts';
import { StoreKeys } from '../../src/control/cluster/store-keys.ts';
import { objectsIn, storeWith } from '../control/cluster/made.ts';
import { runHere } from '../support/command-here.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('what is kept is printed as a config that begins the cluster anew, without what is one’s own', async () => {
  const folder = temporaryFolder();
  const etcd = { endpoints: ['http://127.0.0.1:1'], prefix: '/f/' };
  const own = { instance: 'one', key: '11'.repeat(32) };
  const cluster = { name: 'shop', ...own, etcd: { ...etcd, user: 'me', password: 'secret' } };
  const config = join(folder, 'fairlead.config.yaml');
  writeFileSync(config, stringify({ port: 8080, cluster }));
  const keys = new StoreKeys('/f/', 'shop');
  const pools = { web: { strategy: 'ip-hash', backends: ['http://a', 'http://b'] } };
  const store = await storeWith({ pools, routes: [{ path: '/', pool: 'web' }] });
  const control = {
    put: keys.control('web', 'http://b'),
    value: '{"v":1,"url":"http://b","state":"disabled"}',
  };
  await store.commit({ conditions: [], writes: [control] });
  const copy = { epoch: 'lost', revision: 9, objects: await objectsIn(store) };
  await new LastKnownGood(join(folder, 'fairlead.cluster-one.json'), keys.root).save(copy);
  const { code, stdout, stderr } = await runHere([
    'cluster',
    'export',
    '--kept',
    '--config',
    config,
  ]);
  expect(stderr).toContain('note: http://b in pool web is disabled');
  expect(stderr).toContain('note: users and passwords are not printed');
  expect([code, parse(stdout)]).toEqual([
    0,
    { cluster: { name: 'shop', etcd }, pools, routes: [{ path: '/', pool: 'web' }] },
  ]);
  const printed = join(folder, 'printed.yaml');
  writeFileSync(printed, stdout);
  expect(await runHere(['check', '--config', printed])).toMatchObject({ code: 0 });
});
