/**
 * A pool got another name, `backends:` moved into `pools:`, a pool took the place of another with the same URLs: all that had been
 * healthy a moment ago was unknown, and every request got 503 until the first checks had ended.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { Registry } from '../../src/control/registry.ts';
import { backend, poolSettings, settings } from '../control/fixtures.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { type HttpBackend, httpBackend } from '../support/http-backend.ts';
import { waitFor } from '../support/wait-for.ts';

/** Answers one check, and no other. */
function checkedOnce(): Promise<HttpBackend> {
  let checks = 0;
  return httpBackend((request, response) => {
    if (request.url !== '/health' || checks++ === 0) response.end('ok');
  });
}

const CHECKS = {
  health_check_path: '/health',
  health_check_timeout: '1h',
  health_check_frequency: '1h',
};
const POOL_CHECKS = { health_check: { path: '/health', timeout: '1h', frequency: '1h' } };

async function reload({ adminUrl, cwd }: Fairlead, config: object): Promise<void> {
  await writeFile(join(cwd, 'fairlead.config.json'), JSON.stringify(config));
  const response = await fetch(`${adminUrl}/reload`, { method: 'POST' });
  expect(await response.json()).toMatchObject({ changed: true });
}

async function backendsOf({ adminUrl }: Fairlead, pool: string): Promise<unknown> {
  return (await fetch(`${adminUrl}/pools/${pool}/backends`)).json();
}

function long(name: string, url: string): Record<string, unknown> {
  return {
    pools: { [name]: { ...POOL_CHECKS, backends: [url] } },
    routes: [{ pool: name }],
  };
}

function short(url: string): Record<string, unknown> {
  return { ...CHECKS, backends: [url] };
}

describe('requests are answered at once when', () => {
  it.each([
    ['a pool is renamed', (url: string) => long('web', url), (url: string) => long('site', url)],
    ['backends move to pools', short, (url: string) => long('site', url)],
    [
      'another pool takes the place of one',
      (url: string) => long('web', url),
      (url: string) => ({
        pools: { site: { ...POOL_CHECKS, strategy: 'ip-hash', backends: [url] } },
        routes: [{ path: '/', pool: 'site' }],
      }),
    ],
  ])('%s', async (_what, before, after) => {
    const { url, requests } = await checkedOnce();
    const fairlead = await startFairlead({ config: before(url) });
    expect((await fetch(fairlead.url)).status).toBe(200);
    await reload(fairlead, after(url));
    for (let request = 0; request < 3; request++) {
      expect((await fetch(fairlead.url)).status).toBe(200);
    }
    expect(await backendsOf(fairlead, 'site')).toMatchObject([
      { id: 1, url, health: 'healthy', requests: 3, reason: expect.stringContaining('200 after') },
    ]);
    // It is checked anew all the same.
    await waitFor(() => requests.filter((line) => line === 'GET /health').length === 2);
  });
});

const A = 'http://127.0.0.1:1';

function renamed(path: string, isHealthy: boolean) {
  let now = 1000;
  const web = poolSettings('web', { backends: [backend(A)] });
  const registry = new Registry({ settings: settings({}, [web]), threadCount: 1, now: () => now });
  const live = registry.pool('web')?.live;
  now = 2000;
  live?.recordCheck(0, isHealthy);
  live?.setUnreachable(0, !isHealthy);
  live?.setHint(0, isHealthy ? '' : 'start it');
  live?.setHealth(0, isHealthy ? 'healthy' : 'unhealthy', 'so it was');
  now = 3000;
  const { healthCheck } = web;
  registry.applyConfig(
    settings({}, [{ ...web, name: 'site', healthCheck: { ...healthCheck, path } }]),
  );
  return registry.pool('site')?.backends()[0];
}

test('what was down stays down, and what has served needs no slow start', () => {
  expect(renamed('/health', true)).toMatchObject({
    id: 1,
    health: 'healthy',
    lastReason: 'so it was',
    lastCheck: 2000,
    lastChange: 2000,
  });
  expect(renamed('/health', false)).toMatchObject({
    id: 1,
    health: 'unhealthy',
    isUnreachable: true,
    hint: 'start it',
  });
});

test('checks of another kind say nothing', () => {
  expect(renamed('/other', true)).toMatchObject({ health: 'unknown', lastCheck: undefined });
});
