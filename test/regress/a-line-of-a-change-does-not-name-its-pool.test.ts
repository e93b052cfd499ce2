/** The same URL is in two pools. The log said that it was added, removed, drained or cut, and not where. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { get, QUIET_HEALTH, scriptedBackend, silent } from '../behaviour/stage.ts';
import { startFairlead } from '../support/fairlead.ts';
import { rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';

test('what happens to a backend is told with its pool, unless that is default', async () => {
  const [backend, other] = await Promise.all([scriptedBackend(), scriptedBackend()]);
  backend.on('/stuck', silent);
  const { url } = backend;
  const web = { backends: [url], health_check: { method: 'tcp', frequency: '1h' } };
  const config = {
    ...QUIET_HEALTH,
    backends: [url],
    pools: { web },
    routes: [{ path: '/stuck', pool: 'web' }, { pool: 'default' }],
  };
  const fairlead = await startFairlead({ config });
  const { adminUrl, cwd } = fairlead;
  const call = async (method: string, path: string, body?: object): Promise<number> => {
    const init = body === undefined ? {} : { body: JSON.stringify(body) };
    return (await fetch(adminUrl + path, { method, ...init })).status;
  };
  /** `event pool`, of those about backends, without what checks say, and without the end of a drain, which a reload may come before. */
  const told = (): string[] =>
    fairlead
      .logs()
      .filter(({ event = '' }) => /^backend\.(?!(up|down|drained)$|check)/.test(event))
      .map(({ event, ['pool']: pool }) => `${event} ${String(pool)}`);

  for (const path of ['', '/pools/web']) {
    expect(await call('POST', `${path}/backends`, { url: other.url })).toBe(201);
    const id = path === '' ? 0 : 1;
    expect(await call('PATCH', `${path}/backends/${id}`, { weight: 2 })).toBe(200);
  }
  await waitFor(() => told().length === 4);
  expect(told()).toEqual([
    'backend.added undefined',
    'backend.updated undefined',
    'backend.added web',
    'backend.updated web',
  ]);
  expect(await call('DELETE', '/backends/2?drain=1h')).toBe(202);
  await fairlead.waitForLog(({ event, id }) => event === 'backend.removed' && id === 2);
  expect(await call('DELETE', '/pools/web/backends/3?drain=1h')).toBe(202);
  await fairlead.waitForLog(({ event, id }) => event === 'backend.removed' && id === 3);
  expect(told().slice(4)).toEqual([
    'backend.draining undefined',
    'backend.removed undefined',
    'backend.draining web',
    'backend.removed web',
  ]);

  const client = await rawClient(fairlead.port);
  await client.write(get('/stuck'));
  await backend.request('/stuck');
  expect(await call('DELETE', '/pools/web/backends/1?cut=true')).toBe(200);
  await waitFor(() => told().length === 10);
  expect(told().slice(8).toSorted()).toEqual(['backend.removed web', 'backend.requests_cut web']);

  // One that drains is taken away by a reload.
  expect(await call('POST', '/pools/web/backends', { url: other.url })).toBe(201);
  expect(await call('PATCH', '/pools/web/backends/4', { state: 'draining' })).toBe(200);
  await writeFile(
    join(cwd, 'fairlead.config.json'),
    JSON.stringify({ ...QUIET_HEALTH, backends: [url] }),
  );
  expect(await call('POST', '/reload')).toBe(200);
  await waitFor(() => told().length === 13);
  expect(told().slice(10)).toEqual([
    'backend.added web',
    'backend.updated web',
    'backend.removed web',
  ]);
});
