import { describe, expect, test } from 'vitest';
import { BAD_HOST } from '../../src/data/route/host-index.ts';
import { NO_ROUTE, RouteTable } from '../../src/data/route/route-table.ts';
import { hashSegment } from '../../src/data/route/segments.ts';
import { matchOf, type WrittenMatch, type WrittenValue } from '../support/routes.ts';
import { getWith, goodFactsOf, held } from '../wire/parse.ts';

interface Asked {
  readonly host?: string | null;
  readonly path?: string;
  readonly method?: string;
  readonly lines?: readonly string[];
  readonly isTrusted?: boolean;
}

function tableOf(...routes: readonly WrittenMatch[]): RouteTable {
  return RouteTable.compile(routes.map((route) => ({ match: matchOf(route) })));
}

function find(
  table: RouteTable,
  { host = 'example.com', path = '/', method = 'GET', lines = [], isTrusted = false }: Asked,
) {
  const text = getWith(...lines);
  const facts = { ...goodFactsOf(text), host, path, method };
  return table.find(facts, held('request', text), isTrusted);
}

describe('a host', () => {
  test.each<[string, string | null, boolean]>([
    ['example.com', 'example.com', true],
    ['example.com', 'EXAMPLE.Com', true],
    ['example.com', 'example.com:8080', true],
    ['example.com', 'example.com:', true],
    ['example.com', 'example.com.', true],
    ['example.com', 'Example.com.:80', true],
    ['example.com', 'example.com..', false],
    ['example.com', 'www.example.com', false],
    ['example.com', '.example.com', false],
    ['example.com', 'example.com.evil.org', false],
    ['example.com', 'evil-example.com', false],
    ['example.com', 'example.co', false],
    ['example.com', 'examplescom', false],
    ['example.com', null, false],
    ['*.example.com', 'www.example.com', true],
    ['*.example.com', 'a.b.example.com', true],
    ['*.example.com', 'WWW.example.COM.:443', true],
    ['*.example.com', 'example.com', false],
    ['*.example.com', '.example.com', false],
    ['*.example.com', 'a..example.com', false],
    ['*.example.com', 'evilexample.com', false],
    ['*.example.com', 'www.example.com.evil.org', false],
    ['*.example.com', '*.example.com', true],
    ['example.com', '*.example.com', false],
    ['[::1]', '[::1]:8080', true],
    ['[::1]', '[::1]', true],
    ['[fe80::a]', '[FE80::A]:1', true],
    ['[::1]', '[0:0:0:0:0:0:0:1]:443', true],
    ['[::1]', '[::0001]', true],
    ['[::1]', '[::2]', false],
    ['[::1]', '[1::]', false],
    ['[::1]', '[:::1]', false],
    ['[::ffff:a00:1]', '[::ffff:10.0.0.1]', true],
    ['[2001:db8::1]', '[2001:0DB8:0:0::1]', true],
    ['example.com', '[::1]', false],
    ['10.0.0.1', '10.0.0.1:80', true],
    ['10.0.0.1', '10.0.0.10', false],
    ['localhost', 'localhost:3000', true],
  ])('%s and %s: %s', (route, host, isMatched) => {
    // Beside many, so that tables have to tell them apart.
    const others = Array.from({ length: 50 }, (_, index) => ({
      host: [`${index}.net`, `*.${index}.org`],
    }));
    expect(find(tableOf(...others, { host: route }), { host })).toBe(isMatched ? 50 : NO_ROUTE);
  });

  test.each(['%61.com', 'a.c%6Fm', 'b.%61.com:80', 'x.org%2e'])(
    '%s can be read in two ways, which is told where routes name hosts',
    (host) => {
      expect(find(tableOf({ host: 'a.com' }, {}), { host })).toBe(BAD_HOST);
      expect(find(tableOf({ host: '*.a.com' }), { host })).toBe(BAD_HOST);
      expect(find(tableOf({ path: '/' }), { host })).toBe(0);
    },
  );

  test('is found by name first, then by the longest wildcard, then without any host', () => {
    const table = tableOf({}, { host: '*.com' }, { host: '*.a.com' }, { host: 'b.a.com' });
    const found = ['b.a.com', 'c.a.com', 'b.b.a.com', 'a.com', 'b.com', 'b.org', null];
    expect(found.map((host) => find(table, { host }))).toEqual([3, 2, 2, 1, 1, 0, 0]);
  });

  test('that has no route for the path leaves it to wider ones', () => {
    const table = tableOf(
      { path: '/c' },
      { host: '*.com', path: '/b' },
      { host: '*.a.com', path: '/d' },
      { host: 'b.a.com', path: '/a' },
    );
    const found = ['/a', '/d', '/b', '/c', '/'].map((path) =>
      find(table, { host: 'b.a.com', path }),
    );
    expect(found).toEqual([3, 2, 1, 0, NO_ROUTE]);
  });
});

describe('a path', () => {
  test.each<[string, string, boolean]>([
    ['/v1', '/v1', true],
    ['/v1', '/v1/', true],
    ['/v1', '/v1/users', true],
    ['/v1', '/v1?a', true],
    ['/v1', '/v1x', false],
    ['/v1', '/V1', false],
    ['/v1', '/v', false],
    ['/v1', '/', false],
    ['/v1', '/a/v1', false],
    ['/v1/', '/v1', true],
    ['/v1/users', '/v1/users/7', true],
    ['/v1/users', '/v1', false],
    ['=/v1', '/v1', true],
    ['=/v1', '/v1?a/b', true],
    ['=/v1', '/v1/', false],
    ['=/v1', '/v1/users', false],
    ['=/v1/', '/v1/', true],
    ['=/v1/', '/v1', false],
    ['=/v1/', '/v1//', false],
    ['=/', '/', true],
    ['=/', '/?', true],
    ['=/', '/a', false],
    ['/', '/a/b', true],
    ['/', '*', true],
    ['=/', '*', false],
    ['/users/:id/photos', '/users/7/photos', true],
    ['/users/:id/photos', '/users/7/photos/1', true],
    ['/users/:id/photos', '/users//photos', false],
    ['/users/:id/photos', '/users/7', false],
    ['/users/:id/photos', '/users/7/photo', false],
    ['=/users/:id', '/users/7', true],
    ['=/users/:id', '/users/7/', false],
    ['=/users/:id', '/users/', false],
    ['/users/:id', '/users/', false],
    ['/:a', '/', false],
    ['/:a', '/x', true],
    ['/:a/:b', '/x/y/z', true],
  ])('%s and %s: %s', (route, path, isMatched) => {
    expect(find(tableOf({ path: route }), { path })).toBe(isMatched ? 0 : NO_ROUTE);
  });

  test.each<[string, string, boolean]>([
    ['/@x', '/%40x', true],
    ['/%40x', '/@x/y', true],
    ['/a+b', '/a%2Bb?c', true],
    ['/a[1]', '/a%5B1%5D', true],
    ["/!$&'()*+,=", '/%21%24%26%27%28%29%2A%2B%2C%3D', true],
    ['/a/:n/@b', '/%61/%40/%40b', false],
    ['/a/:n/@b', '/a/%40/%40b', true],
    ['/%3Aid', '/%3Aid', true],
    ['/%3Aid', '/:id', true],
    ['/:id', '/%3A', true],
    ['/a;b', '/a%3Bb', false],
    ['/a%3Bb', '/a;b', false],
    ['/a', '/a%2Fb', false],
    ['/a%2Fb', '/a%2Fb', true],
    ['/a%25', '/a%2525', false],
    ['/@', '/%2540', false],
    ['/@', '/%4', false],
  ])('%s and %s, in another spelling: %s', (route, path, isMatched) => {
    expect(find(tableOf({ path: route }), { path })).toBe(isMatched ? 0 : NO_ROUTE);
  });

  test('in another spelling keeps its query', () => {
    const table = tableOf({ path: '/@x', query: { q: '/%40' } });
    expect(find(table, { path: '/%40x?q=/%2540' })).toBe(0);
    expect(find(table, { path: '/%40x?q=/%40' })).toBe(NO_ROUTE);
  });

  test.each<[string, readonly string[]]>([
    [
      '/a/b/c',
      [
        '/',
        '/:x',
        '/a',
        '/:x/:y',
        '/:x/b',
        '/a/:y',
        '/a/b',
        '/:x/:y/:z',
        '/a/b/:z',
        '/a/b/c',
        '=/:x/:y/:z',
        '=/a/b/c',
      ],
    ],
    ['/a/b', ['/a', '/:x/:y', '/:x/b', '/a/:y', '/a/b', '=/:x/b', '=/a/:y']],
    ['/a/', ['/', '/a', '=/a/']],
  ])('%s: the more specific before the less specific, whatever the order', (path, rising) => {
    for (let count = rising.length; count > 0; count--) {
      const routes = rising.slice(0, count).map((route) => ({ path: route }));
      expect(find(tableOf(...routes), { path })).toBe(count - 1);
      expect(find(tableOf(...routes.toReversed()), { path })).toBe(0);
    }
  });

  test('of more segments than any route has', () => {
    const table = tableOf({ path: '=/a' }, { path: '/b/c' });
    expect(find(table, { path: `/b/c${'/x'.repeat(5000)}` })).toBe(1);
    expect(find(table, { path: `/a${'/x'.repeat(5000)}` })).toBe(NO_ROUTE);
  });
});

describe('a method', () => {
  test.each([
    ['GET', true],
    ['POST', true],
    ['HEAD', false],
    ['get', false],
    ['PROPFIND', false],
  ])('%s: %s', (method, isMatched) => {
    expect(find(tableOf({ method: ['GET', 'POST'] }), { method })).toBe(isMatched ? 0 : NO_ROUTE);
  });
});

describe('a header field', () => {
  test.each<[WrittenValue, readonly string[], boolean]>([
    [true, ['X-Beta: 1'], true],
    [true, ['x-beta:'], true],
    [true, ['X_Beta: 1', 'X-Bet: 1', 'X-Beta2: 1'], false],
    [true, [], false],
    ['1', ['X-BETA:  1 '], true],
    ['1', ['X-Beta: 2', 'X-Beta: 1'], true],
    ['1', ['X-Beta: 11'], false],
    ['a', ['X-Beta: A'], false],
    ['', ['X-Beta:'], true],
    ['', ['X-Beta: 1'], false],
    ['\xe4', ['X-Beta: \xe4'], true],
    [{ prefix: 'ab' }, ['X-Beta: abc'], true],
    [{ prefix: 'ab' }, ['X-Beta: xab'], false],
    [{ prefix: 'ab' }, ['X-Beta: a'], false],
    [{ suffix: 'bc' }, ['X-Beta: abc'], true],
    [{ suffix: 'bc' }, ['X-Beta: bcd'], false],
    [{ suffix: 'bc' }, ['X-Beta: c'], false],
    [{ contains: 'b' }, ['X-Beta: abc'], true],
    [{ contains: 'bc' }, ['X-Beta: ab'], false],
    [{ prefix: 'a', suffix: 'c', contains: 'b' }, ['X-Beta: abc'], true],
    [{ prefix: 'a', suffix: 'c', contains: 'b' }, ['X-Beta: ac'], false],
    // Each of them in one field, not spread over several.
    [{ prefix: 'a', suffix: 'c' }, ['X-Beta: ab', 'X-Beta: bc'], false],
    [{ suffix: 'z' }, [`X-Beta: ${'y'.repeat(5000)}z`], true],
  ])('%j and %j: %s', (value, lines, isMatched) => {
    const table = tableOf({ headers: { 'x-beta': value } });
    expect(find(table, { lines })).toBe(isMatched ? 0 : NO_ROUTE);
  });

  test.each([
    ['x-forwarded-proto', 'X-Forwarded-Proto: https'],
    ['x-forwarded-for', 'X-Forwarded-For: 10.0.0.1'],
    ['x-forwarded-user', 'X-Forwarded-User: root'],
    ['x-real-ip', 'X-Real-IP: 10.0.0.1'],
    ['forwarded', 'Forwarded: for=10.0.0.1'],
  ])('%s counts from a trusted proxy only', (name, line) => {
    const table = tableOf({ headers: { [name]: true } });
    expect(find(table, { lines: [line] })).toBe(NO_ROUTE);
    expect(find(table, { lines: [line], isTrusted: true })).toBe(0);
  });

  test.each<[string, readonly string[], boolean]>([
    ['x-beta', ['X-Beta: 1', 'Connection: close, X-BETA'], false],
    ['x-beta', ['X-Beta: 1', 'Connection: x-bet, close'], true],
    ['cookie', ['Cookie: a=b', 'Connection: cookie'], false],
    ['authorization', ['Authorization: Basic eA==', 'Connection: authorization'], true],
    ['connection', ['Connection: close'], false],
    ['te', ['TE: trailers', 'Connection: TE'], false],
    ['keep-alive', ['Keep-Alive: 5'], false],
    ['proxy-authorization', ['Proxy-Authorization: Basic eA=='], false],
    ['x_forwarded_proto', ['X_Forwarded_Proto: https'], false],
    ['x-forwarded-proto', ['X_Forwarded_Proto: https'], false],
    ['x-request-id', ['X-Request-Id: one'], true],
    ['x-request-id', ['X-Request-Id: o ne'], false],
    ['trailer', ['Trailer: x'], false],
    ['trailer', ['Trailer: x', 'Transfer-Encoding: chunked'], true],
  ])('%s of %j, by whether the backend gets it: %s', (name, lines, isMatched) => {
    const table = tableOf({ headers: { [name]: true } });
    expect(find(table, { lines })).toBe(isMatched ? 0 : NO_ROUTE);
  });

  test.each<[WrittenValue, readonly string[], boolean]>([
    ['websocket', ['Upgrade: websocket', 'Connection: Upgrade'], true],
    ['WebSocket', ['Upgrade: websocket', 'Connection: Upgrade'], true],
    ['websocket', ['Upgrade: WebSocket', 'Connection: keep-alive, upgrade'], true],
    ['websocket', ['Upgrade: h2c, websocket', 'Connection: Upgrade'], true],
    [{ prefix: 'Web' }, ['Upgrade: WebSocket', 'Connection: Upgrade'], true],
    [true, ['Upgrade: websocket', 'Connection: Upgrade'], true],
    [true, ['Upgrade: websocket'], false],
    [true, ['Upgrade: h2c', 'Connection: Upgrade'], false],
    ['websocket', ['Upgrade: h2c', 'Connection: Upgrade'], false],
    ['', ['X: y'], false],
  ])('upgrade: %j and %j, by what it may go on in: %s', (value, lines, isMatched) => {
    const table = tableOf({ headers: { upgrade: value } });
    expect(find(table, { lines })).toBe(isMatched ? 0 : NO_ROUTE);
  });

  test('is not found in what a longer one before it has left behind', () => {
    const table = tableOf(
      { headers: { a: { contains: 'xyz' } } },
      { headers: { a: { suffix: 'z' } } },
    );
    expect(find(table, { lines: ['A: 0xyz'] })).toBe(0);
    expect(find(table, { lines: ['A: 0x'] })).toBe(NO_ROUTE);
    expect(find(table, { lines: ['A:'] })).toBe(NO_ROUTE);
  });
});

describe('a query parameter', () => {
  test.each<[string, WrittenValue, string, boolean]>([
    ['preview', true, '/?preview', true],
    ['preview', true, '/?preview=', true],
    ['preview', true, '/?a=1&preview=0&b', true],
    ['preview', true, '/?previews&apreview&a=preview', false],
    ['preview', true, '/preview', false],
    ['preview', true, '/?', false],
    ['preview', true, '/?%70review=1', true],
    ['v', '1', '/?v=1', true],
    ['v', '1', '/?v=2&v=1', true],
    ['v', '1', '/?v=%31', true],
    ['v', '1', '/?v=11', false],
    ['v', '1', '/?v', false],
    ['v', '', '/?v', true],
    ['v', 'a b', '/?v=a+b', true],
    ['v', 'a b', '/?v=a%20b', true],
    ['v', 'a+b', '/?v=a%2Bb', true],
    ['v', 'a=b', '/?v=a=b', true],
    ['v', 'a&b', '/?v=a%26b', true],
    ['v', '%4', '/?v=%4', true],
    ['v', '%', '/?v=%25', true],
    ['v', '%zz', '/?v=%zz', true],
    ['v', 'é', '/?v=%C3%A9', true],
    ['ä b', true, '/?%c3%a4+b', true],
    ['v', { prefix: 'a', contains: '/', suffix: 'c' }, '/?v=ab%2fbc', true],
    ['v', { prefix: 'a', suffix: 'c' }, '/?v=ab&v=bc', false],
    ['v', '1', '/?a=?v=1', false],
    ['?v', '1', '/??v=1', true],
  ])('%s, %j and %s: %s', (name, value, path, isMatched) => {
    expect(find(tableOf({ query: { [name]: value } }), { path })).toBe(isMatched ? 0 : NO_ROUTE);
  });
});

describe('conditions', () => {
  test('that do not hold leave a request to the next route: fewer conditions, shorter path, wider host', () => {
    const table = tableOf(
      {},
      { host: 'a' },
      { host: 'a', path: '/v1' },
      { host: 'a', path: '/v1', method: ['GET'] },
      { host: 'a', path: '/v1', method: ['GET'], headers: { x: '1' } },
      { host: 'a', path: '/v1', method: ['GET'], headers: { x: '1' }, query: { q: true } },
      { host: 'a', path: '/v2', method: ['PUT'] },
      { host: 'b', method: ['PUT'] },
    );
    const asked: Asked[] = [
      { host: 'a', path: '/v1?q', lines: ['X: 1'] },
      { host: 'a', path: '/v1', lines: ['X: 1'] },
      { host: 'a', path: '/v1?q', lines: ['X: 2'] },
      { host: 'a', path: '/v1?q', method: 'POST' },
      { host: 'a', path: '/v2' },
      { host: 'b' },
    ];
    expect(asked.map((request) => find(table, request))).toEqual([5, 4, 3, 2, 1, 0]);
  });

  test('of the same number: the route that stands first', () => {
    const routes: WrittenMatch[] = [
      { method: ['GET'] },
      { headers: { x: true } },
      { query: { q: true } },
    ];
    const request = { path: '/?q', lines: ['X: 1'] };
    expect(find(tableOf(...routes), request)).toBe(0);
    expect(find(tableOf(...routes.toReversed()), request)).toBe(0);
  });
});

test('a text that has the hash of another is another text', () => {
  expect(hashSegment('ba')).toBe(hashSegment('cA'));
  // Hosts are hashed from their end.
  const table = tableOf({ path: '/ba' }, { host: '-a', path: '/x' }, { host: '*.-a', path: '/x' });
  expect(hashSegment('a-')).toBe(hashSegment('cm'));
  expect(['/ba', '/cA'].map((path) => find(table, { path }))).toEqual([0, NO_ROUTE]);
  const found = ['-a', 'mc', 'x.-a', 'x.mc'].map((host) => find(table, { host, path: '/x' }));
  expect(found).toEqual([1, NO_ROUTE, 2, NO_ROUTE]);
});
