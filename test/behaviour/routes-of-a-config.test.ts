/** Pools and routes as their users have them: a config file, clients, a reload, the admin API. */
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runHere } from '../support/command-here.ts';
import { startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { reusedFairlead } from '../support/reused-fairlead.ts';
import { waitFor } from '../support/wait-for.ts';

const named = (name: string) =>
  httpBackend((_request, response) => {
    response.end(name);
  });

interface Asked {
  readonly host?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The status, and what the backend calls itself. */
function ask(port: number, path: string, asked: Asked = {}): Promise<string> {
  const { host = 'a.example', method = 'GET', headers = {} } = asked;
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, method, agent: false };
    const outgoing = request({ ...options, headers: { ...headers, host } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () =>
        resolve(response.statusCode === 200 ? text : String(response.statusCode)),
      );
    });
    outgoing.on('error', reject).end();
  });
}

test('a request goes to the pool of its route, by host, path, method, header and parameter', async () => {
  const [web, api, beta, rest] = await Promise.all(['web', 'api', 'beta', 'rest'].map(named));
  const pools = {
    web: { backends: [web?.url] },
    api: { backends: [api?.url], retries: false, strategy: 'least-connections' },
    beta: { backends: [beta?.url] },
  };
  const config = {
    pools,
    routes: [
      { host: '*.example', pool: 'web' },
      { host: ['api.example', 'b.test'], path: '/v1/', method: ['GET', 'PUT'], pool: 'api' },
      { host: 'api.example', path: '/v1', headers: { 'X-Beta': { prefix: 'y' } }, pool: 'beta' },
      { path: '=/exact', query: { preview: true }, pool: 'beta' },
      { path: '/users/:id/photos', pool: 'api' },
    ],
  };
  const fairlead = await reusedFairlead({ config });
  const { port } = fairlead;
  const all = await Promise.all([
    ask(port, '/'),
    ask(port, '/', { host: 'api.example' }),
    ask(port, '/v1/users', { host: 'API.example.:80' }),
    ask(port, '/v1', { host: 'api.example', method: 'POST' }),
    ask(port, '/v1x', { host: 'b.test' }),
    ask(port, '/v1', { host: 'b.test' }),
    ask(port, '/v1/', { host: 'api.example', method: 'POST', headers: { 'x-beta': 'yes' } }),
    ask(port, '/exact?a&preview=', { host: 'c.test' }),
    ask(port, '/exact', { host: 'c.test' }),
    ask(port, '/users/7/photos/1', { host: 'c.test' }),
    ask(port, '/users//photos', { host: 'c.test' }),
  ]);
  expect(all).toEqual([
    'web',
    'web',
    'api',
    'web',
    '404',
    'api',
    'beta',
    'beta',
    '404',
    'api',
    '404',
  ]);

  // Backends at the top level are for all else, from the reload on.
  const file = join(fairlead.cwd, 'fairlead.config.json');
  const reload = () => runHere(['reload', '--admin', fairlead.adminUrl]);
  const routes = [...config.routes.slice(1), { host: '*.example', pool: 'beta' }];
  await writeFile(file, JSON.stringify({ backends: [rest?.url], pools, routes }));
  expect((await reload()).stdout).toBe('reloaded: routes, backends\n');
  await waitFor(async () => (await ask(port, '/')) === 'beta', 10_000, 'the new routes');
  await waitFor(async () => (await ask(port, '/v1x', { host: 'b.test' })) === 'rest');

  // A config that is wrong changes nothing.
  await writeFile(
    file,
    JSON.stringify({ backends: [rest?.url], pools, routes: [{ pool: 'wbe' }] }),
  );
  expect((await reload()).stderr).toContain('routes.0.pool: there is no pool "wbe"');
  expect(await ask(port, '/')).toBe('beta');

  // Nor does one without any backends, unless that is written.
  await writeFile(file, JSON.stringify({ pools: { web: {} } }));
  expect((await reload()).stderr).toContain('no backends any more');
  await writeFile(file, JSON.stringify({ pools: { web: { backends: [] } } }));
  expect((await reload()).stdout).toContain('reloaded: ');
});

test('how paths are read is set in the config', async () => {
  const seen: string[] = [];
  const backend = await httpBackend((message, response) => {
    seen.push(String(message.url));
    response.end('ok');
  });
  const config = { backends: [backend.url], routes: [{ path: '/a', pool: 'default' }] };
  const strict = await reusedFairlead({ config });
  expect(await ask(strict.port, '/a%2Fb')).toBe('400');
  expect(await ask(strict.port, '/a//b')).toBe('ok');
  expect(seen).toContain('/a/b');
  const lax = { ...config, encoded_slashes: 'keep', merge_slashes: false };
  const file = join(strict.cwd, 'fairlead.config.json');
  await writeFile(file, JSON.stringify(lax));
  expect((await runHere(['reload', '--admin', strict.adminUrl])).code).toBe(0);
  const { port } = strict;
  expect(await ask(port, '/a%2Fb')).toBe('ok');
  expect(await ask(port, '/a//c')).toBe('ok');
  expect(seen).toEqual(expect.arrayContaining(['/a%2Fb', '/a//c']));
});

test('what operators change in a pool is shown where it stands in the config', async () => {
  const config = {
    pools: {
      web: { backends: [':1', { url: ':2', weight: 2 }] },
      default: { backends: [':3'] },
    },
    routes: [{ path: '/web', pool: 'web' }],
  };
  const { adminUrl } = await reusedFairlead({ config });
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const answer = await fetch(adminUrl + path, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    expect(answer.ok, `${method} ${path}`).toBe(true);
    return answer.json();
  };
  const before = (await call('GET', '/config')) as { config: object; origins: object };
  expect(before.config).not.toHaveProperty('backends');
  expect(before.origins).toMatchObject({
    'pools.web.backends.1.weight': expect.stringContaining('file'),
  });
  await call('PUT', '/pools/web/strategy', { strategy: 'ip-hash' });
  await call('POST', '/pools/web/backends', { url: 'http://localhost:4', weight: 5 });
  await call('POST', '/backends', { url: 'http://localhost:5' });
  const after = (await call('GET', '/config')) as { config: object; origins: object };
  expect(after.config).toMatchObject({
    pools: {
      web: {
        strategy: 'ip-hash',
        backends: [
          'http://localhost:1',
          { url: 'http://localhost:2', weight: 2 },
          { url: 'http://localhost:4', weight: 5 },
        ],
      },
      default: {
        strategy: 'round-robin',
        backends: ['http://localhost:3', 'http://localhost:5'],
      },
    },
  });
  expect(after.origins).toMatchObject({
    'pools.web.strategy': 'api',
    'pools.web.backends.0': expect.stringContaining('file'),
    'pools.web.backends.2.weight': 'api',
    'pools.default.backends.0': expect.stringContaining('file'),
    'pools.default.backends.1': 'api',
    'pools.default.strategy': 'default',
  });
  expect(after.config).not.toHaveProperty('backends');
});

test('the config in force means what it shows: backends without a route become none for all requests', async () => {
  const web = await named('web');
  const config = {
    pools: { web: { backends: [web.url] } },
    routes: [{ path: '/web', pool: 'web' }],
  };
  const { adminUrl, port } = await reusedFairlead({ config });
  const inForce = async (): Promise<object> =>
    (await (await fetch(`${adminUrl}/config`)).json()) as object;
  const before = await inForce();
  expect(before).not.toHaveProperty('notes');
  const added = await runHere(['add', ':4', '--pool', 'default', '--admin', adminUrl]);
  expect(added.code).toBe(0);
  expect(await ask(port, '/other')).toBe('404');
  expect(await inForce()).toEqual({
    ...before,
    notes: [expect.stringMatching(/^without what was added to the pool default .*, 1 in all\): /)],
  });
});

function check(config: object) {
  const variables = Object.entries(config).map(([key, value]) => [
    `FAIRLEAD_${key.toUpperCase()}`,
    JSON.stringify(value),
  ]);
  return runHere(['check', '--no-config'], { env: Object.fromEntries(variables) });
}

async function told(config: Readonly<Record<string, unknown>>) {
  const fairlead = await startFairlead({ config });
  const line = await fairlead.waitForLog(({ event }) => event === 'listening');
  return { strategy: line['strategy'], pools: line['pools'] };
}

test('the line listening tells of the pools that are used', async () => {
  const web = { backends: [':1'], strategy: 'ip-hash' };
  const routes = [{ path: '/a', pool: 'web' }];
  expect(await told({ pools: { web }, routes })).toEqual({ strategy: undefined, pools: ['web'] });
  expect(await told({ pools: { web }, routes, backends: [':3'] })).toEqual({
    strategy: 'round-robin',
    pools: ['default', 'web'],
  });
  expect(await told({ backends: [':3'] })).toEqual({ strategy: 'round-robin', pools: undefined });
});

test('check counts pools and routes, and says what has no effect', async () => {
  const web = { backends: [':1', ':2'] };
  expect(await check({ pools: { web }, routes: [{ path: '/a', pool: 'web' }] })).toEqual({
    code: 0,
    stdout: 'ok: 2 backends, 1 pool, 1 route, port 8080, admin port 9000, no config file\n',
    stderr: '',
  });
  expect(await check({ pools: { web }, backends: [':3'] })).toEqual({
    code: 0,
    stdout: 'ok: 3 backends, 2 pools, 1 route, port 8080, admin port 9000, no config file\n',
    stderr: 'note: pools.web (FAIRLEAD_POOLS) is used by no route\n',
  });
  const routes = [{ pool: 'web' }, { pool: 'web' }];
  expect(await check({ pools: { web }, routes })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(
      'FAIRLEAD_ROUTES: routes.1: is for the same requests as routes.0 (FAIRLEAD_ROUTES)',
    ),
  });
});
