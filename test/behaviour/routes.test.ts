/** Which pool a request goes to: by host, path, method, header and query; and one reading of its path. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Fairlead } from '../support/fairlead.ts';
import { rawClient } from '../support/raw-client.ts';
import { reusedFairlead } from '../support/reused-fairlead.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import {
  metrics,
  QUIET_HEALTH,
  rise,
  type ScriptedBackend,
  scriptedBackend,
  silent,
} from './stage.ts';

const CONFIG = 'fairlead.config.json';

type Config = Readonly<Record<string, unknown>>;

/** Pools by name, each with one backend that answers its name and the path that it was asked for. */
async function site(names: readonly string[], config: Config) {
  const backends = new Map<string, ScriptedBackend>();
  for (const name of names) backends.set(name, await scriptedBackend());
  const url = (name: string): string => backends.get(name)?.url ?? '';
  const own = names.filter((name) => name !== 'default');
  const fairlead = await reusedFairlead({
    config: {
      ...QUIET_HEALTH,
      ...(backends.has('default') && { backends: [url('default')] }),
      pools: Object.fromEntries(
        own.map((name) => [name, { health_check: { method: 'tcp' }, backends: [url(name)] }]),
      ),
      ...config,
    },
  });
  for (const backend of backends.values()) {
    await fairlead.waitForLog(
      ({ event, msg }) => event === 'backend.up' && msg?.includes(backend.url) === true,
    );
  }
  const before = await metrics(fairlead);
  const counts = async () => {
    const after = await metrics(fairlead);
    return (series: string): number => rise(before, after, `fairlead_${series}`);
  };
  return { fairlead, backends, counts };
}

/** The names of the pools that have been asked for this path. */
function askedFor(backends: ReadonlyMap<string, ScriptedBackend>, path: string): string[] {
  return Array.from(backends)
    .filter(([, backend]) => backend.served(path).length > 0)
    .map(([name]) => name);
}

async function ask(fairlead: Fairlead, head: string): Promise<number> {
  const client = await rawClient(fairlead.port);
  await client.write(head);
  const { status } = await client.readResponse();
  client.end();
  return status;
}

async function configOf({ cwd }: Fairlead): Promise<Record<string, unknown>> {
  const text = await readFile(join(cwd, CONFIG), 'utf8');
  return JSON.parse(text) as Record<string, unknown>;
}

async function reload({ cwd, adminUrl }: Fairlead, config: Config): Promise<void> {
  await writeFile(join(cwd, CONFIG), JSON.stringify(config));
  const response = await fetch(`${adminUrl}/reload`, { method: 'POST' });
  expect([response.status, response.ok ? '' : await response.text()]).toEqual([200, '']);
}

function get(path: string, host: string, fields: readonly string[] = [], method = 'GET'): string {
  return [`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...fields, '', ''].join('\r\n');
}

test('the most specific route that matches gets the request', async () => {
  const { fairlead, backends } = await site(['default', 'shop', 'api', 'beta', 'posts', 'any'], {
    routes: [
      { host: '*.example.com', pool: 'any' },
      { host: ['shop.example.com', 'www.shop.example.com'], pool: 'shop' },
      { host: 'shop.example.com', path: '/api/', pool: 'api' },
      { host: 'shop.example.com', path: '/api/', headers: { 'x-beta': '1' }, pool: 'beta' },
      { host: 'shop.example.com', path: '/api/', method: 'POST', query: { v: '2' }, pool: 'posts' },
    ],
  });
  const asked = async (path: string, ...more: [string, string[]?, string?]): Promise<string[]> => {
    expect(await ask(fairlead, get(path, ...more))).toBe(200);
    return askedFor(backends, path);
  };
  expect(await asked('/1', 'shop.example.com')).toEqual(['shop']);
  expect(await asked('/2', 'WWW.SHOP.EXAMPLE.COM:8080')).toEqual(['shop']);
  expect(await asked('/3', 'other.example.com.')).toEqual(['any']);
  expect(await asked('/4', 'example.com')).toEqual(['default']);
  expect(await asked('/api/5', 'shop.example.com')).toEqual(['api']);
  expect(await asked('/apis/6', 'shop.example.com')).toEqual(['shop']);
  expect(await asked('/api/7', 'shop.example.com', ['X-Beta: 1'])).toEqual(['beta']);
  expect(await asked('/api/8?v=2', 'shop.example.com', [], 'POST')).toEqual(['posts']);
  expect(await asked('/api/9?v=2', 'shop.example.com')).toEqual(['api']);
  // The target says who is meant, whatever Host says (RFC 9112 §3.2.2).
  expect(await ask(fairlead, get('http://shop.example.com/10', 'example.com'))).toBe(200);
  expect(askedFor(backends, '/10')).toEqual(['shop']);
});

test('a request without a route is answered 404, and its connection goes on', async () => {
  const { fairlead, backends, counts } = await site(['shop'], {
    routes: [{ host: 'shop.example.com', path: '/a', pool: 'shop' }],
  });
  const client = await rawClient(fairlead.port);
  await client.write(get('/a', 'other.example.com', ['Accept: application/json']));
  const refused = await client.readResponse();
  expect([refused.status, JSON.parse(String(refused.body))]).toMatchObject([
    404,
    { code: 'ERR_NO_ROUTE', source: 'client' },
  ]);
  await client.write(get('/a', 'shop.example.com'));
  expect((await client.readResponse()).status).toBe(200);
  await client.write(`${get('/b', 'shop.example.com', ['Content-Length: 4'], 'POST')}body`);
  // Its body is not wanted: what comes behind it is not read.
  expect((await client.readResponse()).status).toBe(404);
  client.end();
  expect(askedFor(backends, '/b')).toEqual([]);
  await waitFor(() => fairlead.accessLines().length >= 3, LONG_MS);
  expect(fairlead.accessLines().filter(({ error }) => error === 'ERR_NO_ROUTE')).toHaveLength(2);
  const count = await counts();
  expect(count('requests_total{pool="none",backend="none",code="404"}')).toBe(2);
  expect(count('errors_total{code="ERR_NO_ROUTE"}')).toBe(2);
});

test('where routes look at paths, a path has one reading: matched, forwarded and logged', async () => {
  const { fairlead, backends } = await site(['default', 'admin'], {
    routes: [{ path: '/admin/', pool: 'admin' }],
  });
  for (const path of [
    '/x/../admin/1',
    '/%61dmin/2',
    '/x/%2e%2e/admin/3',
    '//admin/4',
    '/./admin/5',
  ]) {
    expect([path, await ask(fairlead, get(path, 'a'))]).toEqual([path, 200]);
    const resolved = `/admin/${path.at(-1)}`;
    expect([path, askedFor(backends, resolved)]).toEqual([path, ['admin']]);
  }
  for (const path of [
    '/admin%2f6',
    '/a%5cdmin',
    '/admin/%00',
    '/../admin',
    '/%2e%2e/admin',
    '/a%zz',
  ]) {
    expect([path, await ask(fairlead, get(path, 'a'))]).toEqual([path, 400]);
    expect([path, askedFor(backends, path)]).toEqual([path, []]);
  }
  await waitFor(() => fairlead.accessLines().length >= 11, LONG_MS);
  expect(fairlead.accessLines().map(({ path }) => path)).toContain('/admin/1');
  expect(fairlead.accessLines().filter(({ error }) => error === 'ERR_BAD_PATH')).toHaveLength(6);
});

test.each([
  ['/a|b', '/a%7Cb'],
  ['/a%7cb', '/a%7Cb'],
  ['/{a}', '/%7Ba%7D'],
  ['/%7Ba%7d', '/%7Ba%7D'],
  // The same to nearly every backend, but not to all: it keeps its spelling.
  ['/@x', '/@x'],
  ['/%40x', '/%40x'],
  ['/%3ay', '/%3Ay'],
  ['/:y', '/:y'],
])('%s passes by no route, and is forwarded as %s', async (path, forwarded) => {
  const { fairlead, backends } = await site(['default', 'own'], {
    routes: ['/a|b', '/{a}', '/@x', '/%3Ay'].map((one) => ({ path: one, pool: 'own' })),
  });
  expect(await ask(fairlead, get(path, 'a'))).toBe(200);
  expect(askedFor(backends, forwarded)).toEqual(['own']);
});

test('a host that can be read in two ways is refused where routes name hosts', async () => {
  const { fairlead, backends } = await site(['default', 'admin'], {
    routes: [
      { host: 'admin.example.com', pool: 'admin' },
      { host: '::1', pool: 'admin' },
    ],
  });
  expect(await ask(fairlead, get('/1', '%61dmin.example.com'))).toBe(400);
  expect(await ask(fairlead, get('http://%61dmin.example.com/1', 'a'))).toBe(400);
  expect(askedFor(backends, '/1')).toEqual([]);
  expect(await ask(fairlead, get('/2', '[0:0:0:0:0:0:0:1]:80'))).toBe(200);
  expect(askedFor(backends, '/2')).toEqual(['admin']);
  await waitFor(() => fairlead.accessLines().length >= 3, LONG_MS);
  // Two threads write their lines in their own time.
  const errors = fairlead.accessLines().map(({ error }) => error ?? 'none');
  expect(errors.toSorted()).toEqual(['ERR_BAD_HOST', 'ERR_BAD_HOST', 'none']);
  await reload(fairlead, { ...(await configOf(fairlead)), routes: [] });
  expect(await ask(fairlead, get('/3', '%61dmin.example.com'))).toBe(200);
});

test('the log names the route, where there are any', async () => {
  const { fairlead } = await site(['default', 'shop'], {
    routes: [
      { path: '/a', pool: 'shop' },
      { path: '/b', pool: 'default' },
    ],
  });
  const routeOf = async (path: string): Promise<unknown> => {
    await ask(fairlead, get(path, 'x'));
    const line = await waitFor(() => fairlead.accessLines().find((one) => one['path'] === path));
    return line['route'];
  };
  expect(await routeOf('/a/1')).toBe('routes.0');
  expect(await routeOf('/b/1')).toBe('routes.1');
  expect(await routeOf('/c/1')).toBe('default');
  expect(await routeOf('/a%2f1')).toBeUndefined();
  await reload(fairlead, { ...(await configOf(fairlead)), routes: [] });
  expect(await routeOf('/a/2')).toBeUndefined();
});

test('where no route looks at paths, they are forwarded byte for byte', async () => {
  const { fairlead, backends } = await site(['default', 'shop'], {
    routes: [{ host: 'shop.example.com', pool: 'shop' }],
  });
  for (const path of ['/a/../b', '/%61%2fb', '//c', '/../d']) {
    expect([path, await ask(fairlead, get(path, 'shop.example.com'))]).toEqual([path, 200]);
    expect([path, askedFor(backends, path)]).toEqual([path, ['shop']]);
  }
});

test('each pool has its own sessions, limits, numbers, and name in the log', async () => {
  const { fairlead, backends, counts } = await site(['default', 'shop'], {});
  const config = await configOf(fairlead);
  const shop = backends.get('shop')?.url;
  await reload(fairlead, {
    ...config,
    sticky: { by: 'cookie' },
    pools: {
      shop: {
        backends: [shop],
        health_check: { method: 'tcp' },
        sticky: { by: 'cookie' },
        rate_limit: { rate: 1, per: '1h', burst: 2 },
      },
    },
    routes: [{ path: '/shop/', pool: 'shop' }],
  });
  const client = await rawClient(fairlead.port);
  const cookieOf = async (path: string): Promise<string> => {
    await client.write(get(path, 'a'));
    const { status, head } = await client.readResponse();
    expect([path, status]).toEqual([path, 200]);
    return /^Set-Cookie: ([^=]+)=/im.exec(head)?.[1] ?? '';
  };
  // Two pools under one host don't erase each other's cookie.
  expect([await cookieOf('/1'), await cookieOf('/shop/1')]).toEqual(['fairlead', 'fairlead-shop']);
  expect(await cookieOf('/shop/2')).toBe('fairlead-shop');
  await client.write(get('/shop/3', 'a'));
  expect((await client.readResponse()).status).toBe(429);
  expect(await cookieOf('/2')).toBe('fairlead');
  client.end();
  const line = await waitFor(() => fairlead.accessLines().find(({ path }) => path === '/shop/1'));
  expect(line).toMatchObject({ pool: 'shop', backend: shop });
  const risen = await counts();
  const count = (labels: string): number => risen(`requests_total{${labels}}`);
  expect(count(`pool="shop",backend="${shop}",code="200"`)).toBe(2);
  expect(count('pool="shop",backend="none",code="429"')).toBe(1);
  expect(count('pool="default",backend="none",code="429"')).toBe(0);
});

test('a reload changes where requests go, and drops no connection', async () => {
  const { fairlead, backends } = await site(['default', 'old', 'new'], {
    routes: [{ path: '/a/', pool: 'old' }],
  });
  const client = await rawClient(fairlead.port);
  await client.write(get('/a/1', 'x'));
  expect((await client.readResponse()).status).toBe(200);
  await reload(fairlead, {
    ...(await configOf(fairlead)),
    routes: [{ path: '/a/', pool: 'new' }],
  });
  await client.write(get('/a/2', 'x'));
  expect((await client.readResponse()).status).toBe(200);
  client.end();
  expect([askedFor(backends, '/a/1'), askedFor(backends, '/a/2')]).toEqual([['old'], ['new']]);
});

test('a pool that leaves with a request under way lets it finish', async () => {
  const { fairlead, backends } = await site(['default', 'old'], {
    routes: [{ path: '/a/', pool: 'old' }],
  });
  backends.get('old')?.on('/a/1', silent);
  const client = await rawClient(fairlead.port);
  await client.write(get('/a/1', 'x'));
  const connection = await backends.get('old')?.request('/a/1');
  await reload(fairlead, { ...(await configOf(fairlead)), routes: [], pools: {} });
  await connection?.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  expect((await client.readResponse()).status).toBe(200);
  await client.write(get('/a/2', 'x'));
  expect((await client.readResponse()).status).toBe(200);
  client.end();
  expect(askedFor(backends, '/a/2')).toEqual(['default']);
});
