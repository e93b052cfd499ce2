/**
 * A pool was changed by the API and then left the config. Its changes counted in `api_changes`, and would be in force again with the
 * pool; they could be neither seen nor dropped.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { backend, poolSettings, settings } from '../control/fixtures.ts';
import { loaded, running } from '../control/running.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const A = 'http://127.0.0.1:1';
const B = 'http://127.0.0.1:2';
const C = 'http://127.0.0.1:3';
const WEB = poolSettings('web', { backends: [backend(A), backend(B)] });

it('they are listed, and dropped where the pool is named', async () => {
  const stateFile = join(temporaryFolder(), 'state.json');
  const flat = { stateFile, backends: [backend(A), backend(B)] };
  const the = await running(flat, undefined, [WEB]);
  const { call } = the;
  const reload = async (to: typeof flat, others: Parameters<typeof settings>[1]) => {
    the.next = loaded(settings(to, others));
    return (await call('POST', '/reload')).json;
  };
  await call('PUT', '/pools/web/strategy', { strategy: 'random-two' });
  await call('PATCH', '/pools/web/backends/3', { weight: 7, state: 'disabled' });
  await call('POST', '/pools/web/backends', { url: C });
  await call('PATCH', '/backends/1', { weight: 3 });
  await call('PATCH', '/backends/0', { weight: 5 });

  const weight = { pool: 'default', value: 'weight', backend: A, api: 5, config: 1 };
  // Those that rest stand in nobody's way.
  expect(await reload({ stateFile, backends: [backend(A)] }, [])).toMatchObject({
    api_changes: 5,
    overrides: [weight],
  });
  const unlisted = { pool: 'default', value: 'backend', backend: B, api: 'weight 3', config: null };
  const ofWeb = [
    { pool: 'web', value: 'strategy', backend: null, api: 'random-two', config: null },
    { pool: 'web', value: 'backend', backend: B, api: 'weight 7, disabled', config: null },
    { pool: 'web', value: 'backend', backend: C, api: 'added, weight 1', config: null },
  ];
  expect((await call('GET', '/overrides')).json).toEqual([weight, unlisted, ...ofWeb]);

  expect((await call('DELETE', '/overrides')).json).toEqual({ dropped: [weight] });
  expect((await call('DELETE', '/overrides?pool=web&value=strategy')).json).toEqual({
    dropped: ofWeb.slice(0, 1),
  });
  expect((await call('DELETE', '/overrides?pool=web')).json).toEqual({ dropped: ofWeb.slice(1) });
  expect((await call('GET', '/overrides')).json).toEqual([unlisted]);
  expect(JSON.parse(await readFile(stateFile, 'utf8'))).not.toHaveProperty('pools.web');
  expect(await call('DELETE', '/overrides?pool=web')).toMatchObject({
    status: 404,
    json: { code: 'ERR_UNKNOWN_POOL' },
  });
  expect((await call('DELETE', '/overrides?pool=default')).json).toEqual({ dropped: [unlisted] });

  expect(await reload(flat, [WEB])).toMatchObject({ api_changes: 0 });
  expect((await call('GET', '/pools/web/status')).json).toMatchObject({
    strategy: 'round-robin',
    backends: [
      { url: A, weight: 1 },
      { url: B, weight: 1, state: 'enabled' },
    ],
  });
});
