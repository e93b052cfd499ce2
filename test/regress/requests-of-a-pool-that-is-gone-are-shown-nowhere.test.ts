/** A pool was taken away while an answer was under way there. `leaving` stood under `/pools/web/status`, which was 404 by then. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { get, QUIET_HEALTH, scriptedBackend, silent } from '../behaviour/stage.ts';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { rawClient } from '../support/raw-client.ts';

test('a request at a backend whose pool is gone is shown with the pool default, until the pool is back', async () => {
  const [kept, lost] = await Promise.all([scriptedBackend(), scriptedBackend()]);
  lost.on('/web', silent);
  const long = {
    ...QUIET_HEALTH,
    backends: [kept.url],
    pools: { web: { backends: [lost.url], health_check: { method: 'tcp', frequency: '1h' } } },
    routes: [{ path: '/web', pool: 'web' }],
  };
  const fairlead = await startFairlead({ config: long });
  const { adminUrl, cwd } = fairlead;
  const reload = async (config: object): Promise<void> => {
    await writeFile(join(cwd, 'fairlead.config.json'), JSON.stringify(config));
    expect((await fetch(`${adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  };
  const leaving = async (path: string): Promise<unknown> =>
    ((await (await fetch(adminUrl + path)).json()) as Record<string, unknown>)['leaving'];

  const client = await rawClient(fairlead.port);
  await client.write(get('/web'));
  await lost.request('/web');
  await reload({ ...QUIET_HEALTH, backends: [kept.url] });
  expect(await leaving('/status')).toMatchObject([
    { id: 1, pool: 'web', url: lost.url, in_flight: 1 },
  ]);
  const { stdout } = await runFairlead(['status', '--admin', adminUrl]);
  expect(stdout).toContain(`${lost.url} (backend 1 of pool web) is removed, with 1 in flight`);
  await reload(long);
  expect(await leaving('/status')).toEqual([]);
  expect(await leaving('/pools/web/status')).toMatchObject([{ id: 1, in_flight: 1 }]);
});
