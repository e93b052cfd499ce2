/** What Fairlead answers itself because a route says so: `respond`, `maintenance`, and the pages of operators for errors. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { type RawResponse, rawClient } from '../support/raw-client.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import { get, metrics, QUIET_HEALTH, scriptedBackend } from './stage.ts';

const CONFIG = 'fairlead.config.json';

type Config = Readonly<Record<string, unknown>>;

async function ask(fairlead: Fairlead, request: string): Promise<RawResponse> {
  const client = await rawClient(fairlead.port);
  await client.write(request);
  const response = await client.readResponse({ hasBody: !request.startsWith('HEAD ') });
  client.end();
  return response;
}

function field({ fields }: RawResponse, name: string): readonly string[] | undefined {
  return fields.get(name);
}

async function reload({ cwd, adminUrl }: Fairlead, config: Config): Promise<void> {
  await writeFile(join(cwd, CONFIG), JSON.stringify(config));
  const response = await fetch(`${adminUrl}/reload`, { method: 'POST' });
  expect([response.status, response.ok ? '' : await response.text()]).toEqual([200, '']);
}

/** Once all threads have written them: each writes its own in its own time. */
async function lines(fairlead: Fairlead, count: number) {
  await waitFor(() => fairlead.accessLines().length >= count, LONG_MS);
  return fairlead.accessLines();
}

const ROUTES = [
  {
    path: '=/robots.txt',
    respond: {
      body: 'User-agent: *\n',
      headers: { 'x-a': ['1', '2'], 'Cache-Control': 'no-cache' },
    },
  },
  { path: '=/page', respond: { body: '<p>ü</p>', headers: { 'content-type': 'text/html' } } },
  { path: '=/none', respond: { status: 204, headers: { 'x-a': '1' } } },
  { path: '=/same', respond: { status: 304, headers: { etag: '"1"' } } },
  { path: '=/odd', respond: { status: 299 } },
];

test('a route answers as it says, and the connection goes on', async () => {
  const fairlead = await startFairlead({ config: { routes: ROUTES } });
  const client = await rawClient(fairlead.port);
  const asked = async (request: string): Promise<RawResponse> => {
    await client.write(request);
    return client.readResponse({ hasBody: !request.startsWith('HEAD ') });
  };
  const robots = await asked(get('/robots.txt'));
  expect([robots.status, String(robots.body)]).toEqual([200, 'User-agent: *\n']);
  expect(field(robots, 'x-a')).toEqual(['1', '2']);
  expect(field(robots, 'content-type')).toEqual(['text/plain; charset=utf-8']);
  expect(field(robots, 'cache-control')).toEqual(['no-cache']);
  expect(Date.parse(field(robots, 'date')?.[0] ?? '')).toBeGreaterThan(0);
  const head = await asked(get('/robots.txt', [], 'HEAD'));
  expect(field(head, 'content-length')).toEqual(['14']);
  const page = await asked(get('/page'));
  expect([page.body.toString('utf8'), field(page, 'content-length')]).toEqual(['<p>ü</p>', ['9']]);
  expect(field(page, 'content-type')).toEqual(['text/html']);
  // RFC 9110 §8.6: neither has a length, or else the next answer would be taken for a body.
  for (const [path, status] of [
    ['/none', 204],
    ['/same', 304],
  ] as const) {
    const response = await asked(get(path));
    expect([response.status, field(response, 'content-length')]).toEqual([status, undefined]);
  }
  const odd = await asked(get('/odd'));
  expect([odd.head.split('\r\n', 1)[0], field(odd, 'content-length')]).toEqual([
    'HTTP/1.1 299 ',
    ['0'],
  ]);
  // Several at once: in their order.
  await client.write(get('/none') + get('/robots.txt') + get('/x') + get('/page'));
  const statuses: number[] = [];
  for (let count = 0; count < 4; count++) statuses.push((await client.readResponse()).status);
  expect(statuses).toEqual([204, 200, 404, 200]);
  client.end();
  const all = await lines(fairlead, 10);
  const robotsLines = all.filter(({ path }) => path === '/robots.txt');
  expect(robotsLines).toHaveLength(3);
  expect(robotsLines[0]).toMatchObject({ route: 'routes.0', status: 200 });
  expect(robotsLines[0]).not.toHaveProperty('error');
  const samples = await metrics(fairlead);
  const code = (status: number) =>
    samples.get(`fairlead_requests_total{pool="none",backend="none",code="${status}"}`);
  expect([code(200), code(204), code(304), code(299), code(404)]).toEqual([5, 2, 1, 1, 1]);
  // Nobody has asked for a backend.
  expect(fairlead.logs().some(({ event }) => event === 'backends.none')).toBe(false);
});

test('a body that comes with such a request is not read as the next one', async () => {
  const fairlead = await startFairlead({ config: { routes: ROUTES } });
  const inner = get('/robots.txt');
  for (const fields of [
    [`Content-Length: ${inner.length}`],
    ['Transfer-Encoding: chunked'],
    [`Content-Length: ${inner.length}`, 'Expect: 100-continue'],
  ]) {
    const client = await rawClient(fairlead.port);
    const chunked = fields[0]?.startsWith('Transfer') === true;
    const body = chunked ? `${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n` : inner;
    await client.write(get('/page', fields, 'POST') + body);
    const response = await client.readResponse();
    expect([response.status, field(response, 'connection')]).toEqual([200, ['close']]);
    // And nothing else comes: the connection ends.
    expect(String(await client.readToEnd(LONG_MS))).toBe('');
    client.end();
  }
  const empty = await rawClient(fairlead.port);
  await empty.write(get('/page', ['Content-Length: 0'], 'POST') + get('/none'));
  expect((await empty.readResponse()).status).toBe(200);
  expect((await empty.readResponse()).status).toBe(204);
  empty.end();
});

test('maintenance answers 503 with Retry-After and the page of the operator', async () => {
  const backend = await scriptedBackend();
  const config = {
    ...QUIET_HEALTH,
    backends: [backend.url],
    routes: [
      {
        path: '/shop',
        pool: 'default',
        maintenance: { retry_after: '1500ms' },
        error_pages: {
          503: { text: '<h1>Bald zurück</h1>', content_type: 'text/html; charset=utf-8' },
        },
      },
      { path: '/api', pool: 'default', maintenance: true },
    ],
  };
  const fairlead = await startFairlead({ config });
  await fairlead.waitForLog(({ event }) => event === 'backend.up');
  const shop = await ask(fairlead, get('/shop/cart'));
  expect([shop.status, shop.body.toString('utf8')]).toEqual([503, '<h1>Bald zurück</h1>']);
  expect(field(shop, 'retry-after')).toEqual(['2']);
  expect(field(shop, 'content-type')).toEqual(['text/html; charset=utf-8']);
  expect(field(shop, 'cache-control')).toEqual(['no-store']);
  const head = await ask(fairlead, get('/shop/cart', [], 'HEAD'));
  expect(field(head, 'content-length')).toEqual(field(shop, 'content-length'));
  const json = await ask(fairlead, get('/shop/json', ['Accept: application/json']));
  expect(JSON.parse(String(json.body))).toMatchObject({ code: 'ERR_MAINTENANCE', status: 503 });
  const api = await ask(fairlead, get('/api'));
  expect([String(api.body), field(api, 'retry-after')]).toEqual([
    '503 Service Unavailable: This is down for maintenance. (ERR_MAINTENANCE)\n',
    ['60'],
  ]);
  expect((await ask(fairlead, get('/else'))).status).toBe(200);
  const all = await lines(fairlead, 5);
  const line = all.find(({ path }) => path === '/shop/cart');
  expect(line).toMatchObject({ route: 'routes.0', status: 503, error: 'ERR_MAINTENANCE' });
  expect(backend.served('/shop/cart')).toHaveLength(0);
  const samples = await metrics(fairlead);
  expect(samples.get('fairlead_requests_total{pool="none",backend="none",code="503"}')).toBe(4);
  expect(samples.get('fairlead_errors_total{code="ERR_MAINTENANCE"}')).toBe(4);
  // And back, with what is at its side.
  const routes = config.routes.map((route) => ({ ...route, maintenance: false }));
  await reload(fairlead, { ...config, routes });
  expect((await ask(fairlead, get('/shop/cart'))).status).toBe(200);
});

test('error pages stand in for our texts: by status, by class, by route, and not for JSON', async () => {
  const fairlead = await startFairlead({
    config: {
      ...QUIET_HEALTH,
      // Nobody listens there.
      pools: { dead: { backends: ['http://127.0.0.1:1'], health_check: { method: 'tcp' } } },
      limits: { request_line: 100 },
      error_pages: {
        404: { text: 'own 404\n' },
        '4xx': { text: '{"own":"4xx"}', content_type: 'application/json' },
        '5xx': { text: 'own 5xx\n' },
      },
      routes: [
        { path: '/dead', pool: 'dead' },
        { path: '/own', pool: 'dead', error_pages: { 503: { text: 'of the route\n' } } },
      ],
    },
  });
  await fairlead.waitForLog(({ event }) => event === 'backend.down');
  const textOf = async (request: string): Promise<[number, string]> => {
    const { status, body } = await ask(fairlead, request);
    return [status, String(body)];
  };
  expect(await textOf(get('/nowhere'))).toEqual([404, 'own 404\n']);
  expect(await textOf(get('/dead'))).toEqual([503, 'own 5xx\n']);
  expect(await textOf(get('/own'))).toEqual([503, 'of the route\n']);
  // Refused before it is known what it is for.
  expect(await textOf(get(`/${'x'.repeat(100)}`))).toEqual([414, '{"own":"4xx"}']);
  expect(await textOf('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')).toEqual([
    400,
    '{"own":"4xx"}',
  ]);
  const json = await ask(fairlead, get('/nowhere', ['Accept: text/json']));
  expect(JSON.parse(String(json.body))).toMatchObject({ code: 'ERR_NO_ROUTE' });
  const own = await ask(fairlead, get('/own'));
  expect(field(own, 'proxy-status')).toEqual(['fairlead; error=destination_unavailable']);
});

test('answers of a backend keep their body, whatever their status', async () => {
  const backend = await scriptedBackend();
  backend.on('/missing', async (connection) => {
    await connection.write('HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\ntheirs');
  });
  const fairlead = await startFairlead({
    config: { ...QUIET_HEALTH, backends: [backend.url], error_pages: { 404: { text: 'ours' } } },
  });
  await fairlead.waitForLog(({ event }) => event === 'backend.up');
  expect(String((await ask(fairlead, get('/missing'))).body)).toBe('theirs');
});

test('a reload takes up what the files of pages hold by then, and refuses one that is gone', async () => {
  const config = { routes: [{ path: '/a', respond: {} }], error_pages: { 404: 'gone.html' } };
  const first = await startFairlead({ config: { routes: config.routes } });
  const { cwd, adminUrl } = first;
  await writeFile(join(cwd, 'gone.html'), '<p>first</p>');
  await reload(first, config);
  const textOf = async (): Promise<string> => String((await ask(first, get('/x'))).body);
  expect(await textOf()).toBe('<p>first</p>');
  const response = await ask(first, get('/x'));
  expect(field(response, 'content-type')).toEqual(['text/html; charset=utf-8']);
  await writeFile(join(cwd, 'gone.html'), '<p>second</p>');
  await reload(first, config);
  expect(await textOf()).toBe('<p>second</p>');
  await writeFile(
    join(cwd, CONFIG),
    JSON.stringify({ ...config, error_pages: { 404: 'no.html' } }),
  );
  const refused = await fetch(`${adminUrl}/reload`, { method: 'POST' });
  const { problems } = (await refused.json()) as { problems: { path: string; message: string }[] };
  expect(refused.status).toBe(422);
  expect(problems[0]).toMatchObject({
    path: 'error_pages.404',
    message: `cannot read ${join(cwd, 'no.html')}: no such file`,
  });
  expect(await textOf()).toBe('<p>second</p>');
});

test('a redirect sends clients where its template says, and nowhere else', async () => {
  const fairlead = await startFairlead({
    config: {
      merge_slashes: false,
      routes: [
        { path: '/old/', redirect: { to: '/new/${path.rest}', status: 308 } },
        { path: '/any/', redirect: { to: '/${path.rest}' } },
        { path: '/users/:id', redirect: { to: 'https://${host}/u?id=${path.id}#top' } },
        { path: '/tls/', redirect: { to: 'https://${host}${path}', status: 301 } },
        { path: '/from/', redirect: { to: '/login?for=${header.x-a}' } },
      ],
    },
  });
  const locationOf = async (path: string, ...fields: string[]) => {
    const response = await ask(fairlead, get(path, fields));
    return [response.status, field(response, 'location')?.join(' | ')];
  };
  expect(await locationOf('/old/a/b?c=d')).toEqual([308, '/new/a/b?c=d']);
  expect(await locationOf('/old')).toEqual([308, '/new/']);
  expect(await locationOf('/users/7?x=y')).toEqual([302, 'https://test/u?id=7#top']);
  expect(await locationOf('/tls/x?y')).toEqual([301, 'https://test/tls/x?y']);
  // Nothing that a client sends ends the field, or the path.
  expect(await locationOf('/old/%0d%0aX-Evil:%201')).toEqual([308, '/new/%0D%0AX-Evil:%201']);
  expect(await locationOf('/from/', 'X-A: /b?c&d=e f')).toEqual([
    302,
    '/login?for=%2Fb%3Fc%26d%3De%20f',
  ]);
  // Nor does it make a host of it: browsers take `//x` and `/\x` for one.
  expect(await locationOf('/any//evil.example/a')).toEqual([302, '/evil.example/a']);
  expect(await locationOf('/any/%2fevil.example')).toEqual([400, undefined]);
  expect(await locationOf('/any/%5cevil.example')).toEqual([400, undefined]);
  const head = await ask(fairlead, get('/old/a', [], 'HEAD'));
  expect([head.status, field(head, 'content-length')]).toEqual([308, ['0']]);
  // HTTP/1.0 without a host: there is nothing to send it to.
  expect((await ask(fairlead, 'GET /tls/a HTTP/1.0\r\n\r\n')).status).toBe(400);
  const line = await waitFor(
    () => fairlead.accessLines().find(({ path }) => path === '/old/a/b?c=d'),
    LONG_MS,
  );
  expect(line).toMatchObject({ status: 308, route: 'routes.0' });
});
