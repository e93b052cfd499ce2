/** A route's own timeouts, body limit, rate limit and retries: laid over those of its pool, for its requests only. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { rawClient } from '../support/raw-client.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import {
  answer,
  get,
  QUIET_HEALTH,
  type ScriptedBackend,
  scriptedBackend,
  silent,
} from './stage.ts';

const CONFIG = 'fairlead.config.json';
/** Nobody gets one back while a test lasts. */
const ONE = { rate: 1, per: '1h', burst: 1 } as const;

async function site(
  backends: readonly ScriptedBackend[],
  config: Readonly<Record<string, unknown>>,
): Promise<Fairlead> {
  const fairlead = await startFairlead({
    config: { ...QUIET_HEALTH, backends: backends.map(({ url }) => url), ...config },
  });
  for (const { url } of backends) {
    await fairlead.waitForLog(
      ({ event, msg }) => event === 'backend.up' && msg?.includes(url) === true,
    );
  }
  return fairlead;
}

async function ask({ port }: Fairlead, request: string): Promise<number> {
  const client = await rawClient(port);
  await client.write(request);
  const { status } = await client.readResponse();
  client.end();
  return status;
}

function detailOf(fairlead: Fairlead, path: string): Promise<unknown> {
  return waitFor(() => fairlead.accessLines().find((line) => line['path'] === path), LONG_MS).then(
    (line) => line['error_detail'],
  );
}

test('a route has its own timeouts, and the others keep those of the pool', async () => {
  const backend = await scriptedBackend();
  backend.on('/quick/1', silent);
  backend.on('/whole/1', silent);
  backend.on('/1', silent);
  const fairlead = await site([backend], {
    timeouts: { response: '1h' },
    retries: false,
    routes: [
      { path: '/quick/', pool: 'default', timeouts: { response: '200ms' } },
      { path: '/whole/', pool: 'default', timeouts: { total: '250ms' } },
    ],
  });
  const patient = await rawClient(fairlead.port);
  await patient.write(get('/1'));
  const waits = await backend.request('/1');
  expect(await ask(fairlead, get('/quick/1'))).toBe(504);
  expect(await ask(fairlead, get('/whole/1'))).toBe(504);
  expect(await detailOf(fairlead, '/quick/1')).toContain('within 200 ms (timeouts.response)');
  expect(await detailOf(fairlead, '/whole/1')).toContain('within 250 ms (timeouts.total)');
  await waits.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  expect((await patient.readResponse()).status).toBe(200);
  patient.end();
});

const CHUNKED = 'POST /small/2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';

function post(path: string, body: string): string {
  return `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

test('a route may take more than others, or less', async () => {
  const backend = await scriptedBackend();
  backend.on('/upload/1', async (connection) => {
    await connection.readBytes(4);
    await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  const fairlead = await site([backend], {
    limits: { body: 3 },
    routes: [
      { path: '/upload/', pool: 'default', limits: { body: '1KiB' } },
      { path: '/small/', pool: 'default', limits: { body: 2 } },
    ],
  });
  expect(await ask(fairlead, post('/other/1', 'body'))).toBe(413);
  expect(await ask(fairlead, post('/small/1', 'bod'))).toBe(413);
  expect(await ask(fairlead, `${CHUNKED}3\r\nbod\r\n0\r\n\r\n`)).toBe(413);
  expect(await detailOf(fairlead, '/small/1')).toBe('3 bytes announced, of 2 (limits.body)');
  expect(await ask(fairlead, post('/upload/1', 'body'))).toBe(200);
  expect(await ask(fairlead, post('/small/3', 'bo'))).not.toBe(413);
});

test('a route is limited by itself: the pool does not count its requests, nor it those of others', async () => {
  const backend = await scriptedBackend();
  const fairlead = await site([backend], {
    rate_limit: { rate: 1, per: '1h', burst: 2 },
    routes: [
      { path: '/login/', pool: 'default', rate_limit: ONE },
      { path: '/logout/', pool: 'default', rate_limit: ONE },
      { path: '/free/', pool: 'default', rate_limit: false },
    ],
  });
  const asked = async (path: string, count: number): Promise<number[]> => {
    const statuses: number[] = [];
    for (let one = 0; one < count; one++) statuses.push(await ask(fairlead, get(path)));
    return statuses;
  };
  expect(await asked('/login/', 2)).toEqual([200, 429]);
  // The same limit, on another route.
  expect(await asked('/logout/', 2)).toEqual([200, 429]);
  expect(await asked('/free/', 5)).toEqual([200, 200, 200, 200, 200]);
  expect(await asked('/', 3)).toEqual([200, 200, 429]);
  // Nobody gets anything back by a reload, wherever the route stands afterwards.
  const text = await readFile(join(fairlead.cwd, CONFIG), 'utf8');
  const config = JSON.parse(text) as { readonly routes: readonly unknown[] };
  const routes = [{ path: '/new/', pool: 'default' }, ...config.routes.toReversed()];
  await writeFile(join(fairlead.cwd, CONFIG), JSON.stringify({ ...config, routes }));
  expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  expect(await asked('/login/', 1)).toEqual([429]);
  expect(await asked('/logout/', 1)).toEqual([429]);
  expect(await asked('/new/', 1)).toEqual([429]);
});

test('a route may try again where its pool does not, and the other way round', async () => {
  const [one, other] = [await scriptedBackend(), await scriptedBackend()];
  const refused = answer('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n');
  for (const path of ['/again/1', '/once/1', '/1']) one.on(path, refused);
  for (const path of ['/again/1', '/once/1', '/1']) other.on(path, refused);
  const fairlead = await site([one, other], {
    outlier_detection: false,
    retries: { attempts: 2, on_status: [] },
    routes: [
      { path: '/again/', pool: 'default', retries: { on_status: [503] } },
      { path: '/once/', pool: 'default', retries: false },
    ],
  });
  const tries = (path: string): number => one.served(path).length + other.served(path).length;
  for (const [path, count] of [
    ['/again/1', 2],
    ['/once/1', 1],
    ['/1', 1],
  ] as const) {
    expect([path, await ask(fairlead, get(path))]).toEqual([path, 503]);
    expect([path, tries(path)]).toEqual([path, count]);
  }
});

test('a request keeps to the policies with which it has begun', async () => {
  const backend = await scriptedBackend();
  backend.on('/a/1', silent);
  const fairlead = await site([backend], {
    retries: false,
    routes: [{ path: '/a/', pool: 'default', timeouts: { response: '1h' } }],
  });
  const client = await rawClient(fairlead.port);
  await client.write(get('/a/1'));
  const waits = await backend.request('/a/1');
  const text = await readFile(join(fairlead.cwd, CONFIG), 'utf8');
  const config = JSON.parse(text) as Record<string, unknown>;
  const routes = [{ path: '/a/', pool: 'default', timeouts: { response: '100ms' } }];
  await writeFile(join(fairlead.cwd, CONFIG), JSON.stringify({ ...config, routes }));
  expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  backend.on('/a/2', silent);
  // What comes after the reload is over by then.
  expect(await ask(fairlead, get('/a/2'))).toBe(504);
  await waits.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  expect((await client.readResponse()).status).toBe(200);
  client.end();
});
