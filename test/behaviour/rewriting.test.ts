/** What a route changes on the way: the path, fields of the request, fields of the answer. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { okResponse } from '../support/raw-backend.ts';
import { type RawResponse, rawClient } from '../support/raw-client.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import { OK, severalBackends } from './several-backends.ts';
import {
  answer,
  get,
  HANDSHAKE,
  type Stage,
  SWITCHED,
  scriptedBackend,
  startProxy,
  startStage,
} from './stage.ts';

type Route = Readonly<Record<string, unknown>>;
const REUSED = { isReused: true } as const;

/** The fields of these routes, whose requests all go to the one backend. */
function routesOf(...routes: readonly Route[]) {
  return { routes: routes.map((route) => ({ pool: 'default', ...route })) };
}

interface Seen {
  /** What the backend got: its lines. */
  readonly head: readonly string[];
  readonly response: RawResponse;
}

/**
 * Sends a request and tells what came at the backend.
 * @param path that the backend is expected to be asked for: without its query, if that matters nothing.
 */
async function exchange(
  stage: Stage,
  request: string,
  path: string,
  response: string = okResponse(),
): Promise<Seen> {
  const heads: string[] = [];
  stage.on(path, async (connection, head) => {
    heads.push(head);
    await connection.write(response);
  });
  const client = await stage.client();
  await client.write(request);
  const seen = await client.readResponse();
  client.end();
  expect([seen.status, stage.backend.served(path).length]).not.toEqual([200, 0]);
  return { head: (heads[0] ?? '').trimEnd().split('\r\n'), response: seen };
}

function values(head: readonly string[], name: string): string[] {
  return head
    .filter((line) => line.toLowerCase().startsWith(`${name}: `))
    .map((line) => line.slice(name.length + 2));
}

function redirectTo(location: string): string {
  return `HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`;
}

describe('the path', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await startStage({
      location: 'rewrite',
      ...routesOf(
        { path: '/v1/', strip_prefix: '/v1' },
        { path: '/teams/:team/', strip_prefix: '/teams/:team' },
        { path: '=/exact/page', strip_prefix: '/exact' },
        { path: '/old/', rewrite: '/new/${path.rest}' },
        { path: '/users/:id/photos', rewrite: '/photos?user=${path.id}&n=${path.rest}' },
        { path: '/search', rewrite: '/find?q=1&${query}' },
        { host: 'tenant.example', rewrite: '/t/${host.label(1)}${path}' },
        { path: '/by-name/', rewrite: '/n/${header.x-name}/data' },
      ),
    });
  });

  test.each([
    ['/v1/users?a=b', '/users?a=b'],
    ['/v1', '/'],
    ['/v1/', '/'],
    ['/v1?a', '/?a'],
    ['/v1//x', '/x'],
    ['/v1/%61/../b', '/b'],
    ['/v1/v1/v1', '/v1/v1'],
    ['/teams/red/list', '/list'],
    ['/exact/page', '/page'],
    ['/old/a/b?c', '/new/a/b?c'],
    ['/old', '/new/'],
    ['/users/%37%26x=1/photos/2', '/photos?user=7%26x%3D1&n=2'],
    ['/search?b', '/find?q=1&b'],
    ['/search', '/find?q=1&'],
    ['/search?', '/find?q=1&'],
    ['/other/%61', '/other/a'],
  ])('%s is forwarded as %s', async (asked, sent) => {
    const { head } = await exchange(stage, get(asked), sent);
    expect(head[0]).toBe(`GET ${sent} HTTP/1.1`);
  });

  test('of what the host says', async () => {
    const request = get('/a').replace('Host: test', 'Host: Tenant.Example:80');
    const { head } = await exchange(stage, request, '/t/tenant/a');
    expect(head[0]).toBe('GET /t/tenant/a HTTP/1.1');
    expect(values(head, 'host')).toEqual(['Tenant.Example:80']);
  });

  test('of a target in absolute form', async () => {
    const { head } = await exchange(stage, get('http://test/v1/absolute'), '/absolute');
    expect(head.slice(0, 2)).toEqual(['GET /absolute HTTP/1.1', 'Host: test']);
  });

  test('of the server as a whole stays what it is', async () => {
    const request = get('*', [], 'OPTIONS').replace('Host: test', 'Host: tenant.example');
    const { head } = await exchange(stage, request, '*');
    expect(head[0]).toBe('OPTIONS * HTTP/1.1');
  });

  test('is logged as the client has asked for it', async () => {
    await exchange(stage, get('/v1/logged?x'), '/logged?x');
    expect(await stage.logged('/v1/logged?x')).toMatchObject({ status: 200, route: 'routes.0' });
  });

  test('the prefix that was taken off is told, and no client can tell another one', async () => {
    const fields = ['X-Forwarded-Prefix: /evil', 'x_forwarded_prefix: /evil'];
    const { head } = await exchange(stage, get('/v1/prefix', fields), '/prefix');
    expect(values(head, 'x-forwarded-prefix')).toEqual(['/v1']);
    expect(head.join()).not.toContain('evil');
    const named = await exchange(stage, get('/teams/r%2Bd/prefix2'), '/prefix2');
    expect(values(named.head, 'x-forwarded-prefix')).toEqual(['/teams/r%2Bd']);
    const rewritten = await exchange(stage, get('/old/prefix3'), '/new/prefix3');
    expect(values(rewritten.head, 'x-forwarded-prefix')).toEqual([]);
  });

  test.each(['..', '.', 'a/b', 'a\\b', '../../etc'])('is refused with %s in it', async (name) => {
    const client = await stage.client();
    await client.write(get('/by-name/x', [`X-Name: ${name}`]));
    expect((await client.readResponse()).status).toBe(400);
    await client.write(get('/by-name/x', ['X-Name: ok']));
    expect((await client.readResponse()).status).toBe(200);
    expect(stage.backend.raw.received()).not.toContain(`/n/${name}/`);
    // Who looks for the reason in the path finds none there.
    const detail = 'what its route makes of it (rewrite)';
    expect(await stage.logged('/by-name/x')).toMatchObject({ status: 400, error_detail: detail });
  });

  test('of a backend’s redirect to itself is not changed', async () => {
    const path = await exchange(stage, get('/v1/to-path'), '/to-path', redirectTo('/login'));
    expect(path.response.fields.get('location')).toEqual(['/login']);
    const url = redirectTo(`${stage.backend.url}/login`);
    const whole = await exchange(stage, get('/v1/to-url'), '/to-url', url);
    expect(whole.response.fields.get('location')).toEqual(['http://test/login']);
  });

  test('goes on as it is in an upgrade', async () => {
    const heads: string[] = [];
    stage.on('/socket', async (connection, head) => {
      heads.push(head);
      await connection.write(SWITCHED);
      await connection.closed;
      connection.end();
    });
    const client = await stage.client();
    await client.write(get('/v1/socket', HANDSHAKE));
    expect((await client.readResponse()).status).toBe(101);
    client.reset();
    expect(heads[0]).toContain('GET /socket HTTP/1.1');
    expect(heads[0]).toContain('Upgrade: websocket');
  });
});

test('a path that is forwarded begins with one slash, where empty segments are kept', async () => {
  const stage = await startStage(
    {
      merge_slashes: false,
      ...routesOf(
        { path: '/v1/', strip_prefix: '/v1' },
        { path: '/old/', rewrite: '/${path.rest}' },
        { path: '/kept/', rewrite: '/new/${path.rest}' },
      ),
    },
    REUSED,
  );
  for (const path of ['/v1//evil.example/a', '/v1////evil.example/a', '/old//evil.example/a']) {
    const { head } = await exchange(stage, get(path), '/evil.example/a');
    expect(head[0]).toBe('GET /evil.example/a HTTP/1.1');
  }
  const { head } = await exchange(stage, get('/kept/a//b'), '/new/a//b');
  expect(head[0]).toBe('GET /new/a//b HTTP/1.1');
});

describe('fields of the request', () => {
  let stage: Stage;
  let trusting: Stage;
  beforeAll(async () => {
    const route = {
      path: '/',
      request_headers: {
        set: {
          'X-Tenant': '${host.label(1)}',
          'x-from': '${client.address} ${scheme} ${method} ${request.id}',
          'x-copy': '${header.x-original}',
          'X-Real-IP': '${client.address}',
          'x-env': '${NOT_SET_ANYWHERE:-none}-$${path}',
        },
        add: { 'x-more': 'ours' },
        remove: ['x-debug', 'Accept-Language', 'authorization'],
      },
    };
    stage = await startStage(routesOf(route));
    trusting = await startStage({ ...routesOf(route), trusted_proxies: ['127.0.0.1'] });
  });

  const FROM_CLIENT = [
    'x-TENANT: evil',
    'X_Tenant: evil',
    'X-Real-IP: evil',
    'X-Debug: evil',
    'x-debug: evil',
    'x_debug: evil',
    'accept-language: evil',
    'Authorization: evil',
    'X-More: theirs',
    'X-Kept: kept',
  ];

  test.each(['untrusted', 'trusted'])('are what the route says, from an %s peer', async (whose) => {
    const by = whose === 'trusted' ? trusting : stage;
    const request = get(`/fields-${whose}`, FROM_CLIENT).replace(
      'Host: test',
      'Host: acme.example',
    );
    const { head } = await exchange(by, request, `/fields-${whose}`);
    expect(head.join('\n')).not.toContain('evil');
    expect(values(head, 'x-tenant')).toEqual(['acme']);
    expect(values(head, 'x-real-ip')).toEqual(['127.0.0.1']);
    expect(values(head, 'x-more')).toEqual(['theirs', 'ours']);
    expect(values(head, 'x-kept')).toEqual(['kept']);
    const [id] = values(head, 'x-request-id');
    expect(values(head, 'x-from')).toEqual([`127.0.0.1 http GET ${id}`]);
    expect(values(head, 'x-env')).toEqual(['none-${path}']);
    // Without a value, there is none.
    expect(values(head, 'x-copy')).toEqual([]);
  });

  test('can’t be named away by the client', async () => {
    const connection = 'Connection: x-tenant, x-more, x-real-ip, x-from';
    const { head } = await exchange(stage, get('/named', [connection]), '/named');
    expect(values(head, 'x-tenant')).toEqual(['test']);
    expect(values(head, 'x-more')).toEqual(['ours']);
    expect(values(head, 'x-real-ip')).toEqual(['127.0.0.1']);
  });

  test('do not come in as trailers', async () => {
    const request = [
      'POST /trailers HTTP/1.1',
      'Host: acme.example',
      'Transfer-Encoding: chunked',
      '',
      '5000',
      'x'.repeat(0x5000),
      '0',
      'X-Tenant: evil',
      'x_debug: evil',
      'X-Sum: 5',
      '',
      '',
    ].join('\r\n');
    stage.on('/trailers', async (connection, head) => {
      // A body of this length goes out in chunks.
      expect(head).toContain('chunked');
      const rest = await connection.readUntil('X-Sum: 5\r\n\r\n');
      expect(rest).not.toContain('evil');
      await connection.write(OK);
    });
    const client = await stage.client();
    await client.write(request);
    expect((await client.readResponse()).status).toBe(200);
    expect(stage.backend.raw.errors).toEqual([]);
  });

  test('have the bytes that a client has sent, and no line more', async () => {
    const request = get('/copy', ['X-Original: caf\xe9 %0d%0aX: y']);
    const { head } = await exchange(stage, request, '/copy');
    expect(values(head, 'x-copy')).toEqual(['caf\xe9 %0d%0aX: y']);
  });
});

describe('fields of the answer', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await startStage({
      timeouts: { response: '30s' },
      ...routesOf({
        path: '/a/',
        strip_prefix: '/a',
        response_headers: {
          set: {
            'Strict-Transport-Security': 'max-age=1',
            'X-Path': '${path}',
            'cache-control': 'max-age=60',
          },
          add: { vary: 'x' },
          remove: ['Server', 'x-powered-by'],
        },
      }),
    });
  });

  const FROM_BACKEND = [
    'SERVER: secret',
    'X-Powered-By: secret',
    'x_powered_by: secret',
    'strict-transport-security: secret',
    'Vary: y',
    'X-Kept: kept',
  ];

  test('are what the route says', async () => {
    const { response } = await exchange(
      stage,
      get('/a/answer?q'),
      '/answer?q',
      okResponse('ok', FROM_BACKEND),
    );
    expect(response.head).not.toContain('secret');
    expect(response.fields.get('strict-transport-security')).toEqual(['max-age=1']);
    expect(response.fields.get('x-path')).toEqual(['/a/answer']);
    expect(response.fields.get('vary')).toEqual(['y', 'x']);
    expect(response.fields.get('x-kept')).toEqual(['kept']);
    expect(String(response.body)).toBe('ok');
  });

  test('in interim answers are the backend’s, and in the 101 of an upgrade the route’s', async () => {
    const early = 'HTTP/1.1 103 Early Hints\r\nServer: early\r\nLink: </a>\r\n\r\n';
    stage.on('/early', answer(early + okResponse('ok', ['Server: secret'])));
    const client = await stage.client();
    await client.write(get('/a/early'));
    const first = await client.readUntil('\r\n\r\n');
    expect(first).toContain('103');
    expect(first).toContain('Server: early');
    expect(first).not.toContain('max-age');
    const last = await client.readResponse();
    expect(last.head).not.toContain('secret');
    expect(last.fields.get('x-path')).toEqual(['/a/early']);

    const upgrade = SWITCHED.replace('\r\n\r\n', '\r\nServer: secret\r\n\r\n');
    const { response } = await exchange(stage, get('/a/up', HANDSHAKE), '/up', upgrade);
    expect(response.status).toBe(101);
    expect(response.head).not.toContain('secret');
    expect(response.fields.get('x-path')).toEqual(['/a/up']);
    expect(response.fields.get('upgrade')).toEqual(['websocket']);
  });

  test('that are removed do not come as trailers', async () => {
    const chunked =
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nServer: secret\r\nX-Sum: 2\r\n\r\n';
    stage.on('/trailing', answer(chunked));
    const client = await stage.client();
    await client.write(get('/a/trailing'));
    const all = await client.readUntil('X-Sum: 2\r\n\r\n');
    expect(all).not.toContain('secret');
  });

  test('of an answer of ours are added, beside those that it has of its own', async () => {
    const refusing = await startStage(
      {
        rate_limit: { rate: 1, per: '1h', by: 'header', name: 'x-who' },
        ...routesOf({
          path: '/',
          response_headers: {
            set: { 'access-control-allow-origin': '*', 'cache-control': 'max-age=60' },
            remove: ['proxy-status'],
          },
        }),
      },
      REUSED,
    );
    const client = await refusing.client();
    await client.write(get('/r', ['X-Who: me']));
    expect((await client.readResponse()).fields.get('cache-control')).toEqual(['max-age=60']);
    await client.write(get('/r', ['X-Who: me']));
    const limited = await client.readResponse();
    expect(limited.status).toBe(429);
    expect(limited.fields.get('access-control-allow-origin')).toEqual(['*']);
    expect(limited.fields.get('cache-control')).toEqual(['no-store']);
    expect(limited.fields.get('proxy-status')).toHaveLength(1);
    // The next one on the same connection, of another route or none, has nothing of it.
    await client.write('GET /r HTTP/1.1\r\nHost: %\r\n\r\n');
    expect((await client.readResponse()).head).not.toContain('access-control');
  });

  test('of an answer that the route gives itself are added, too', async () => {
    const route = {
      path: '=/page',
      respond: { status: 200, body: 'page', headers: { 'x-own': 'own' } },
      response_headers: { set: { 'x-own': 'other', 'x-path': '${path}' } },
    };
    const answering = await startStage({ routes: [route] }, REUSED);
    const client = await answering.client();
    await client.write(get('/page?q'));
    const { status, fields, body } = await client.readResponse();
    expect([status, String(body)]).toEqual([200, 'page']);
    expect([fields.get('x-own'), fields.get('x-path')]).toEqual([['own'], ['/page']]);
  });

  test('are those of the request’s route, one after the other on one connection', async () => {
    const client = await stage.client();
    await client.write(get('/a/one') + get('/none') + get('/a/two'));
    expect((await client.readResponse()).fields.get('x-path')).toEqual(['/a/one']);
    expect((await client.readResponse()).fields.get('x-path')).toBeUndefined();
    expect((await client.readResponse()).fields.get('x-path')).toEqual(['/a/two']);
  });
});

test('every part of a split, and the copy, gets what the route makes of a request', async () => {
  const [web, other, shadow] = [
    await scriptedBackend(),
    await scriptedBackend(),
    await scriptedBackend(),
  ];
  const check = { health_check: { method: 'tcp', frequency: '1h' } };
  const config = {
    pools: {
      other: { ...check, backends: [other.url] },
      // Its head is made by itself.
      shadow: { ...check, backends: [shadow.url], host_header: 'backend' },
    },
    routes: [
      {
        path: '/v1/',
        split: [{ pool: 'default' }, { pool: 'other' }],
        mirror: { pool: 'shadow' },
        strip_prefix: '/v1',
        request_headers: { set: { 'x-rest': '${path.rest}' }, remove: ['x-debug'] },
        response_headers: { set: { 'x-path': '${path}' } },
      },
    ],
  };
  const fairlead = await startProxy([web.url], config, REUSED);
  for (const { url } of [other, shadow]) {
    await fairlead.waitForLog(
      ({ event, msg }) => event === 'backend.up' && msg?.includes(url) === true,
    );
  }
  const heads: string[] = [];
  for (const backend of [web, other, shadow]) {
    backend.on('/a?b', async (connection, head) => {
      heads.push(head);
      await connection.write(OK);
    });
  }
  const client = await rawClient(fairlead.port);
  for (let times = 0; times < 4; times++) {
    await client.write(get('/v1/a?b', ['X-Debug: evil', 'X_Rest: evil']));
    expect((await client.readResponse()).fields.get('x-path')).toEqual(['/v1/a']);
  }
  const counts = () => [web, other, shadow].map((backend) => backend.served('/a?b').length);
  await waitFor(() => counts()[2] === 4, LONG_MS, 'the copies');
  const [ofWeb = 0, ofOther = 0] = counts();
  expect([ofWeb > 0, ofOther > 0, ofWeb + ofOther]).toEqual([true, true, 4]);
  for (const head of heads) {
    expect(head).not.toContain('evil');
    expect(values(head.split('\r\n'), 'x-rest')).toEqual(['a']);
    expect(values(head.split('\r\n'), 'x-forwarded-prefix')).toEqual(['/v1']);
  }
});

test('who serves goes by the path that was asked for', async () => {
  const config = {
    strategy: 'consistent-hash',
    hash: { by: 'path' },
    ...routesOf({ path: '/from/', rewrite: '/one' }),
  };
  const the = await severalBackends(2, config, REUSED);
  const client = await rawClient(the.fairlead.port);
  const served = () => the.backends.map((backend) => backend.served('/one').length);
  for (let index = 0; index < 40; index++) {
    await client.write(get(`/from/${index}`));
    expect((await client.readResponse()).status).toBe(200);
  }
  expect(served().every((count) => count > 0)).toBe(true);
  const [before = 0] = served();
  for (let times = 0; times < 3; times++) {
    await client.write(get('/from/0'));
    expect((await client.readResponse()).status).toBe(200);
  }
  expect([0, 3]).toContain((served()[0] ?? 0) - before);
});

test('another attempt gets the same head', async () => {
  const route = {
    path: '/v1',
    strip_prefix: '/v1',
    request_headers: { set: { 'x-id': '${request.id}' } },
  };
  const config = { retries: { on_status: [503] }, ...routesOf(route) };
  const the = await severalBackends(2, config, REUSED);
  const heads: string[] = [];
  let requests = 0;
  the.everywhere('/again', async (connection, head) => {
    heads.push(head);
    const isFirst = requests++ === 0;
    await connection.write(isFirst ? 'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n' : OK);
  });
  const client = await rawClient(the.fairlead.port);
  await client.write(get('/v1/again'));
  expect((await client.readResponse()).status).toBe(200);
  expect(heads).toHaveLength(2);
  expect(heads[1]).toBe(heads[0]);
  expect(heads[0]).toMatch(/^GET \/again HTTP\/1\.1\r\n/);
  expect(heads[0]).toMatch(/\r\nx-id: \S+\r\n/);
});

test('a reload changes what a route changes, and a site without routes pays nothing for it', async () => {
  const stage = await startStage({}, REUSED);
  const file = join(stage.fairlead.cwd, 'fairlead.config.json');
  const before = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  const reload = async (more: object): Promise<void> => {
    await writeFile(file, JSON.stringify({ ...before, ...more }));
    const { status } = await fetch(`${stage.fairlead.adminUrl}/reload`, { method: 'POST' });
    expect(status).toBe(200);
  };
  const client = await stage.client();
  const ask = async (): Promise<string | undefined> => {
    await client.write(get('/a%2Fb//c'));
    return (await client.readResponse()).fields.get('x-new')?.[0];
  };
  expect(await ask()).toBeUndefined();
  // One route for everything, which changes something.
  await reload(routesOf({ response_headers: { set: { 'x-new': 'one' } } }));
  expect(await ask()).toBe('one');
  await reload(routesOf({ response_headers: { set: { 'x-new': '${method}' } } }));
  expect(await ask()).toBe('GET');
  await reload({});
  expect(await ask()).toBeUndefined();
  // Nobody has looked at the path.
  expect(stage.backend.served('/a%2Fb//c')).toHaveLength(4);
});
