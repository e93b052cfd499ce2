/** Functions of the program that see each request: `pick` and `request`. */
import { expect, test } from 'vitest';
import {
  type AskedRequest,
  ConfigError,
  createProxy,
  type PickCandidate,
  type Proxy,
  type ProxyConfig,
  type ProxyEvent,
  type ProxyOptions,
} from '../../src/index.ts';
import { afterTest } from '../support/after-test.ts';
import { httpBackend } from '../support/http-backend.ts';
import { waitFor } from '../support/wait-for.ts';

async function listening(config: ProxyConfig, options: ProxyOptions): Promise<Proxy> {
  const proxy = createProxy({ port: 0, admin: false, ...config }, options);
  afterTest(() => proxy.close({ within: '1s' }));
  return proxy.listen();
}

async function named(name: string): Promise<string> {
  const { url } = await httpBackend((_request, response) => response.end(name));
  return url;
}

async function textOf(url: string, headers: Record<string, string> = {}): Promise<string> {
  return (await fetch(url, { headers })).text();
}

test('pick says who gets a request, or leaves it to the strategy', async () => {
  const [one, two] = [await named('one'), await named('two')];
  const seen: string[] = [];
  const proxy = await listening(
    { backends: [one, { url: two, weight: 3 }] },
    {
      pick: ({ headers }, candidates) => {
        seen.push(...candidates.map(({ url, weight }) => `${url} ${weight}`));
        return candidates.find(({ url }) => url === headers['x-to']);
      },
    },
  );
  for (const [url, name] of [
    [one, 'one'],
    [two, 'two'],
    [one, 'one'],
  ] as const) {
    expect(await textOf(proxy.url, { 'X-To': url })).toBe(name);
  }
  expect(seen.slice(0, 2)).toEqual([`${one} 1`, `${two} 3`]);
  expect(['one', 'two']).toContain(await textOf(proxy.url));
  await proxy.pools.default.disable(two);
  expect(await textOf(proxy.url, { 'X-To': two })).toBe('one');
});

test('a backend that has failed the request is no candidate any more', async () => {
  const { url: dead, close } = await httpBackend();
  const alive = await named('alive');
  const offered: number[] = [];
  const proxy = await listening(
    { backends: [dead, alive] },
    {
      pick: (_request, candidates) => {
        offered.push(candidates.length);
        return candidates.find(({ url }) => url === dead) ?? candidates[0];
      },
    },
  );
  await close();
  expect(await textOf(proxy.url)).toBe('alive');
  expect(offered).toEqual([2, 1]);
});

test('a pick may put its candidates in another order, and give a copy of one', async () => {
  const [one, two] = [await named('one'), await named('two')];
  const pick = ((_request: unknown, candidates: PickCandidate[]) => {
    candidates.sort(({ url }) => (url === two ? -1 : 1));
    return { ...candidates[0] };
  }) as unknown as NonNullable<ProxyOptions['pick']>;
  const proxy = await listening({ backends: [one, two] }, { pick });
  expect([await textOf(proxy.url), await textOf(proxy.url)]).toEqual(['two', 'two']);
});

test('a pick that fails is told of, and costs nobody anything', async () => {
  const heard: ProxyEvent[] = [];
  const failing = [
    () => {
      throw new Error('no idea');
    },
    () => {
      throw Object.create(null);
    },
    () => 'http://localhost',
    () => ({ id: 99 }),
    () => null,
    async () => {
      throw new Error('too late');
    },
  ];
  let next = 0;
  const pick = (): never => failing[next++]?.() as never;
  const proxy = await listening({ backends: [await named('one')] }, { pick });
  proxy.on('function.failed', (event) => heard.push(event));
  while (next < failing.length) expect(await textOf(proxy.url)).toBe('one');
  const event = await waitFor(() => heard[0]);
  expect(event).toMatchObject({
    level: 'error',
    message: 'the function pick of the program has failed: no idea',
    fields: { function: 'pick', count: 1 },
  });
});

test('request sees each request, and may answer it', async () => {
  const { url, requests } = await httpBackend();
  const seen: AskedRequest[] = [];
  const proxy = await listening(
    {
      backends: [url],
      routes: [
        { path: '/denied', pool: 'default', deny: ['0.0.0.0/0', '::/0'] },
        { pool: 'default' },
      ],
    },
    {
      request: (asked) => {
        seen.push(asked);
        if (asked.path !== '/own?a=1') return undefined;
        return { status: 418, headers: { 'X-Own': 'yes' }, body: 'täglich' };
      },
    },
  );
  const own = await fetch(`${proxy.url}/own?a=1`, { headers: { 'X-A': 'b' } });
  expect([own.status, own.headers.get('x-own'), await own.text()]).toEqual([418, 'yes', 'täglich']);
  expect(own.headers.get('content-type')).toBe('text/plain; charset=utf-8');
  expect(seen[0]).toMatchObject({
    method: 'GET',
    path: '/own?a=1',
    host: `localhost:${proxy.port}`,
    headers: { 'x-a': 'b' },
  });
  expect(seen[0]?.client).toMatch(/^(127\.0\.0\.1|::1)$/);
  expect(await textOf(`${proxy.url}/other`)).toBe('ok');
  expect(requests.filter((line) => line !== 'GET /health')).toEqual(['GET /other']);
  // What a route refuses it is not asked about.
  expect((await fetch(`${proxy.url}/denied`)).status).toBe(403);
  expect(seen).toHaveLength(2);
});

test('a request that fails lets nobody through', async () => {
  const { url, requests } = await httpBackend();
  const answers: (() => unknown)[] = [
    () => ({ status: 99 }),
    () => ({ status: 200, body: 5 }),
    () => null,
    () => 'no',
    () => {
      throw Object.create(null);
    },
    async () => {
      throw new Error('too late');
    },
    () => ({ status: 200, headers: { 'X-A': 'a\r\nX-B: b' } }),
    () => ({ status: 200, headers: { 'Content-Length': '3' } }),
    () => {
      throw new Error('no database');
    },
    async () => ({ status: 200 }),
  ];
  let next = 0;
  const request = (): never => answers[next++]?.() as never;
  const proxy = await listening({ backends: [url] }, { request });
  while (next < answers.length) {
    const { status, headers } = await fetch(`${proxy.url}/x`);
    expect([status, headers.get('x-b')]).toEqual([503, null]);
  }
  // Those of health checks.
  expect(requests.filter((line) => line !== 'GET /health')).toEqual([]);
});

test('functions and data threads do not go together', () => {
  expect(() => createProxy({ threads: 1 }, { request: () => undefined })).toThrow(ConfigError);
});
