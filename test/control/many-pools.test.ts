/** Several pools in one process: each has its own backends, strategy and changes, and none knows of the others. */
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { Registry } from '../../src/control/registry.ts';
import { changesOf, countChanges } from '../../src/control/state/operator-state.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { address, backend, poolSettings, settings } from './fixtures.ts';
import { loaded, running } from './running.ts';

const A = 'http://127.0.0.1:1';
const B = 'http://127.0.0.1:2';
const C = 'http://127.0.0.1:3';

const WEB = poolSettings('web', {
  strategy: 'ip-hash',
  backends: [backend(A), backend(B, 5)],
});
const API = poolSettings('api', { backends: [backend(C)] });

function registry(others = [WEB, API]): Registry {
  const the = settings({ backends: [backend(A)] }, others);
  return new Registry({ settings: the, threadCount: 1, now: () => 1000 });
}

/** `name: id url …`, pool by pool. */
function shape(of: Registry): string[] {
  return of
    .pools()
    .map((pool) =>
      [`${pool.name}:`, ...pool.backends().map(({ id, address: { url } }) => `${id} ${url}`)].join(
        ' ',
      ),
    );
}

describe('the registry', () => {
  it('numbers the backends of all pools in one row, and takes the same URL in each', () => {
    const the = registry();
    expect(shape(the)).toEqual([`default: 0 ${A}`, `web: 1 ${A} 2 ${B}`, `api: 3 ${C}`]);
    expect(the.snapshot().pools.map(({ id, name, strategy }) => [id, name, strategy])).toEqual([
      [0, 'default', 'round-robin'],
      [1, 'web', 'ip-hash'],
      [2, 'api', 'round-robin'],
    ]);
    const counters = new Set(the.snapshot().pools.map((pool) => pool.counters));
    expect(counters.size).toBe(3);
    expect(the.poolOf(2)?.name).toBe('web');
    expect(the.poolOf(9)).toBeUndefined();
  });

  it('changes one pool, and no other', () => {
    const the = registry();
    const web = the.pool('web');
    web?.planStrategy('random-two').commit();
    web?.planUpdate(1, { state: 'disabled' }).commit();
    web?.planAdd(address(C), 2).commit();
    expect(the.pools().map(({ strategy }) => strategy)).toEqual([
      'round-robin',
      'random-two',
      'round-robin',
    ]);
    expect(the.defaultPool.findByUrl(A)?.adminState).toBe('enabled');
    expect(web?.findByUrl(C)?.id).toBe(4);
    expect(() => web?.planAdd(address(C), 2)).toThrow('backend 4 already');
    expect(() => the.defaultPool.planRemove(4)).toThrow('no backend 4');
    expect(countChanges(the.operatorState)).toBe(3);
    expect(the.overrides()).toEqual([
      { pool: 'web', value: 'strategy', backend: null, api: 'random-two', config: 'ip-hash' },
    ]);
    the.planReset({ pool: 'api' }).commit();
    expect(web?.strategy).toBe('random-two');
    the.planReset({ pool: 'web' }).commit();
    expect(web?.strategy).toBe('ip-hash');
  });

  it('keeps what lives in a pool over a reload that leaves it, whatever its place', () => {
    const the = registry();
    const api = the.pool('api');
    api?.live.setHealth(3, 'healthy', 'ok');
    the.applyConfig(settings({ backends: [backend(A)] }, [API]));
    expect(shape(the)).toEqual([`default: 0 ${A}`, `api: 3 ${C}`]);
    expect(the.pool('api')).toBe(api);
    expect(the.snapshot().pools.map(({ id }) => id)).toEqual([0, 2]);
    expect(api?.backend(3)?.health).toBe('healthy');
  });

  it('keeps the changes to a pool that leaves, for when it comes back', () => {
    const the = registry();
    const web = the.pool('web');
    web?.planUpdate(1, { state: 'disabled' }).commit();
    web?.planAdd(address(C), 2).commit();
    web?.planRemove(2).commit();
    the.applyConfig(settings({ backends: [backend(A)] }, [API]));
    expect(the.pool('web')).toBeUndefined();
    expect(the.backend(1)).toBeUndefined();
    the.applyConfig(settings({ backends: [backend(A)] }, [WEB, API]));
    // New ids: requests of the old ones may still be under way. A removal is over once the URL was not listed.
    expect(shape(the)).toEqual([`default: 0 ${A}`, `web: 5 ${C} 6 ${A} 7 ${B}`, `api: 3 ${C}`]);
    expect(the.pool('web')?.findByUrl(A)?.adminState).toBe('disabled');
    expect(the.pool('web')?.id).toBe(3);
    expect(changesOf(the.keptState, 'web')).toEqual(changesOf(the.operatorState, 'web'));
  });
});

describe('the admin API', () => {
  it('has every call about backends and the strategy under the pool', async () => {
    const { call } = await running({ backends: [backend(A)] }, undefined, [WEB]);
    expect((await call('GET', '/pools')).json).toMatchObject([
      { name: 'default', routed: true, strategy: 'round-robin', total_backends: 1 },
      {
        name: 'web',
        routed: false,
        strategy: 'ip-hash',
        total_backends: 2,
        panic: false,
        breaker: 'closed',
      },
    ]);
    expect((await call('GET', '/pools/web')).json).toMatchObject({ name: 'web' });
    expect((await call('GET', '/pools/web/backends')).json).toMatchObject([
      { id: 1, url: A },
      { id: 2, url: B, weight: 5 },
    ]);
    expect((await call('GET', '/backends')).json).toMatchObject([{ id: 0, url: A }]);
    expect((await call('GET', '/pools/web/status')).json).toMatchObject({
      strategy: 'ip-hash',
      total_backends: 2,
    });
    const added = await call('POST', '/pools/web/backends', { url: C });
    expect(added).toMatchObject({ status: 201, json: { id: 3, url: C, source: 'api' } });
    expect(added.headers['location']).toBe('/pools/web/backends/3');
    expect((await call('POST', '/pools/web/backends', { url: C })).status).toBe(409);
    expect((await call('POST', '/backends', { url: C })).status).toBe(201);
    await call('PUT', '/pools/web/strategy', { strategy: 'random-two' });
    expect((await call('GET', '/pools/web/strategy')).json).toMatchObject({
      strategy: 'random-two',
      source: 'api',
    });
    expect((await call('GET', '/strategy')).json).toMatchObject({ strategy: 'round-robin' });
    const changed = await call('PATCH', '/pools/web/backends/1', { weight: 7 });
    expect(changed.json).toMatchObject({ id: 1, weight: 7 });
    expect((await call('PUT', '/pools/web/backends/1/status', { alive: false })).status).toBe(200);
    expect((await call('DELETE', '/pools/web/backends', { url: B })).status).toBe(200);
    expect((await call('DELETE', '/pools/web/backends/3')).status).toBe(200);
    expect((await call('GET', '/pools/web/backends')).json).toMatchObject([
      { id: 1, state: 'disabled' },
    ]);
    expect((await call('GET', '/backends')).json).toMatchObject([{ id: 0 }, { id: 4, url: C }]);
    expect((await call('GET', '/overrides')).json).toEqual([
      { pool: 'web', value: 'strategy', backend: null, api: 'random-two', config: 'ip-hash' },
      { pool: 'web', value: 'weight', backend: A, api: 7, config: 1 },
    ]);
    expect((await call('DELETE', '/overrides?pool=default')).json).toEqual({ dropped: [] });
    expect((await call('DELETE', '/overrides?pool=web&value=weight')).json).toMatchObject({
      dropped: [{ pool: 'web', value: 'weight' }],
    });
  });

  it('finds a backend in its own pool only, and no pool that there is not', async () => {
    const { call } = await running({ backends: [backend(A)] }, undefined, [WEB]);
    expect((await call('GET', '/backends/1')).json).toMatchObject({
      status: 404,
      code: 'ERR_UNKNOWN_BACKEND',
      hint: 'backend 1 is in pool web: /pools/web/backends/1',
    });
    expect((await call('GET', '/pools/web/backends/0')).json).toMatchObject({
      code: 'ERR_UNKNOWN_BACKEND',
      detail: 'There is no backend "0" in pool web.',
      hint: 'backend 0 is in pool default: /backends/0',
    });
    expect((await call('PATCH', '/pools/web/backends/7', { weight: 2 })).json).toMatchObject({
      code: 'ERR_UNKNOWN_BACKEND',
      hint: 'GET /pools/web/backends lists them',
    });
    for (const [method, path] of [
      ['GET', '/pools/none'],
      ['GET', '/pools/none/backends'],
      ['GET', '/pools/none/status'],
      ['POST', '/pools/none/backends'],
      ['PUT', '/pools/none/strategy'],
      ['DELETE', '/overrides?pool=none'],
    ] as const) {
      const { json } = await call(method, path, method === 'GET' ? undefined : { url: C });
      expect([path, json]).toMatchObject([path, { status: 404, code: 'ERR_UNKNOWN_POOL' }]);
    }
  });

  it('has the changes to every pool after a restart', async () => {
    const stateFile = join(temporaryFolder(), 'state.json');
    const changes = { stateFile, backends: [backend(A)] };
    const first = await running(changes, undefined, [WEB]);
    await first.call('POST', '/pools/web/backends', { url: C });
    await first.call('PUT', '/pools/web/backends/2/status', { alive: false });
    await first.call('PUT', '/pools/web/strategy', { strategy: 'random-two' });
    await first.call('PUT', '/backends/0/status', { alive: false });
    first.fairlead.kill();
    await first.fairlead.exited;
    const second = await running(changes, undefined, [WEB]);
    expect((await second.call('GET', '/pools/web/status')).json).toMatchObject({
      strategy: 'random-two',
      backends: [
        { id: 1, state: 'enabled' },
        { id: 2, state: 'disabled' },
        { id: 3, url: C, source: 'api' },
      ],
    });
    expect((await second.call('GET', '/backends')).json).toMatchObject([{ state: 'disabled' }]);
  });

  it('takes pools that come and go with a reload', async () => {
    const the = await running({ backends: [backend(A)] }, undefined, [WEB]);
    const { call } = the;
    the.next = loaded(settings({ backends: [backend(A)] }, [API]));
    expect((await call('POST', '/reload')).json).toMatchObject({ changed: true });
    expect((await call('GET', '/pools')).json).toMatchObject([
      { name: 'default' },
      { name: 'api' },
    ]);
    expect((await call('GET', '/pools/web')).status).toBe(404);
    // The checks of the new pool have begun.
    await waitFor(async () => {
      const { json } = await call('GET', '/pools/api/backends/3');
      return (json as { last_check: string | null }).last_check !== null;
    });
    const page = String((await call('GET', '/metrics')).text);
    expect(page).toContain(`fairlead_backend_up{pool="api",backend="${C}"}`);
    expect(page).toContain('fairlead_queue_depth{pool="api"} 0');
    expect(page).not.toContain('pool="web"');
  });
});

test('a pool has checks of its own kind', async () => {
  const quick = { ...WEB.healthCheck, method: 'tcp', intervalMs: 50, downIntervalMs: 50 } as const;
  const slow = { ...WEB.healthCheck, intervalMs: 3_600_000, downIntervalMs: 3_600_000 };
  const { call } = await running({ backends: [backend(A)], healthCheck: slow }, undefined, [
    { ...WEB, healthCheck: quick },
  ]);
  const checksOf = async (pool: string): Promise<number> => {
    const page = String((await call('GET', '/metrics')).text);
    const label = `fairlead_health_checks_total{pool="${pool}",backend="${A}",result="fail"} `;
    return Number(page.split(label)[1]?.split('\n', 1)[0]);
  };
  await waitFor(async () => (await checksOf('web')) >= 5);
  expect(await checksOf('default')).toBe(1);
  const { json } = await call('GET', '/pools/web/backends/1');
  expect((json as { reason: string }).reason).toContain('TCP');
});
