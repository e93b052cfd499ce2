import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseBackendUrl, shownUrl } from '../../src/config/values/backend-url.ts';

test.each([
  ['http://localhost:3001', 'http://localhost:3001', 'localhost', 3001],
  ['http://localhost:3001/', 'http://localhost:3001', 'localhost', 3001],
  ['http://:3001', 'http://localhost:3001', 'localhost', 3001],
  [':3001', 'http://localhost:3001', 'localhost', 3001],
  ['localhost:3001', 'http://localhost:3001', 'localhost', 3001],
  ['HTTP://LocalHost:080', 'http://localhost', 'localhost', 80],
  ['https://example.com', 'https://example.com', 'example.com', 443],
  ['https://example.com:443', 'https://example.com', 'example.com', 443],
  ['https://example.com:80', 'https://example.com:80', 'example.com', 80],
  ['http://app_1.internal.:8080', 'http://app_1.internal.:8080', 'app_1.internal.', 8080],
  ['http://10.0.0.1', 'http://10.0.0.1', '10.0.0.1', 80],
  ['http://[::1]:3001', 'http://[::1]:3001', '::1', 3001],
  ['http://[2001:DB8:0:0::1]', 'http://[2001:db8::1]', '2001:db8::1', 80],
  ['http://bücher.example:81', 'http://xn--bcher-kva.example:81', 'xn--bcher-kva.example', 81],
])('%s is %s', (text, url, host, port) => {
  const tls = url.startsWith('https');
  const authority = url.slice(url.indexOf('//') + 2);
  const address = { url, tls, host, port, authority, socketPath: '', basePath: '' };
  expect(parseBackendUrl(text)).toEqual({ ok: true, address });
});

test.each([
  ['unix:/run/app.sock', '/run/app.sock'],
  ['UNIX:/run/App.sock', '/run/App.sock'],
  ['unix:///run/app.sock', '/run/app.sock'],
  ['unix:/run//x/../app', '/run/app'],
  [`unix:/${'a'.repeat(106)}`, `/${'a'.repeat(106)}`],
])('%s is a Unix socket', (text, socketPath) => {
  const server = { tls: false, host: 'localhost', port: 80, authority: 'localhost', basePath: '' };
  const address = { ...server, url: `unix:${socketPath}`, socketPath };
  expect(parseBackendUrl(text)).toEqual({ ok: true, address });
  expect(parseBackendUrl(address.url)).toEqual({ ok: true, address });
});

test.each([
  ['http://a/x', 'http://a/x', '/x'],
  ['http://a/x/', 'http://a/x', '/x'],
  [':1/api/v1', 'http://localhost:1/api/v1', '/api/v1'],
  ['https://[::1]:443/%7eme/%c3%bc', 'https://[::1]/~me/%C3%BC', '/~me/%C3%BC'],
])('%s is below a path', (text, url, basePath) => {
  expect(parseBackendUrl(text)).toMatchObject({ ok: true, address: { url, basePath } });
});

const UNCLEAR =
  'has a path that is not clear: visible ASCII, without empty segments, dot segments, and encoded slashes';

const NO_SOCKET = 'is none of a Unix socket, which is written unix:/run/app.sock';

test.each([
  ['unix:', 'must have an absolute path, as in unix:/run/app.sock'],
  ['unix:app.sock', 'must have an absolute path, as in unix:/run/app.sock'],
  ['unix://app.sock', 'must have an absolute path, as in unix:/run/app.sock'],
  ['unix:@app', 'is an abstract socket; only those with a path are possible'],
  ['unix:/run/', 'is the path of a folder'],
  ['unix:/run/a.sock:/x', 'must end with the path of the socket: no ":", "?" or "#" may be in it'],
  ['unix:/run/a.sock?x', 'must end with the path of the socket: no ":", "?" or "#" may be in it'],
  ['unix:/run/\0a', 'has white space, a control character or a backslash in it'],
  [`unix:/${'ä'.repeat(54)}`, 'has a path of more than 107 bytes, which no Unix socket can have'],
  ['http+unix:/run/a.sock', NO_SOCKET],
  ['http://unix:/run/a.sock:/', NO_SOCKET],
  ['https://unix:/run/a.sock', NO_SOCKET],
  ['/run/a.sock', NO_SOCKET],
  ['./a.sock', NO_SOCKET],
  ['', 'is empty'],
  ['localhost', 'has no scheme (write http://localhost)'],
  ['8081', 'has no scheme (write http://:8081)'],
  ['/health', 'has no host'],
  ['ftp://x', 'has the scheme "ftp"; only http, https and unix are possible'],
  ['ws://x:1', 'has the scheme "ws"; only http, https and unix are possible'],
  ['http://', 'has no host'],
  ['http:///x', 'has no host'],
  ['localhost/x', 'has no scheme (write http://localhost/x)'],
  ['http://a/?q', 'must not have a query'],
  ['http://a/x?q', 'must not have a query'],
  ['http://a/x#f', 'must not have a fragment'],
  ['http://a//', UNCLEAR],
  ['http://a//x', UNCLEAR],
  ['http://a/x/../y', UNCLEAR],
  ['http://a/x/%2E%2e', UNCLEAR],
  ['http://a/..;/x', UNCLEAR],
  ['http://a/x%2fy', UNCLEAR],
  ['http://a/x%00', UNCLEAR],
  ['http://a/x%', UNCLEAR],
  ['http://a/{x}', UNCLEAR],
  ['http://a/ü', UNCLEAR],
  ['http://a?q', 'must not have a query'],
  ['http://a#f', 'must not have a fragment'],
  ['http://me:secret@a', 'must not hold a user name or password'],
  ['http://a:0', 'has the port 0; ports are 1 to 65535'],
  ['http://a:65536', 'has the port 65536; ports are 1 to 65535'],
  ['http://a:http', 'has a malformed port "http"'],
  ['http://a:', 'has a malformed port ""'],
  ['http://::1:3001', 'has a malformed port ":1:3001"'],
  ['http://a b', 'has white space, a control character or a backslash in it'],
  ['http://a\\b', 'has white space, a control character or a backslash in it'],
  [' http://a', 'has white space, a control character or a backslash in it'],
  ['http://a\r\nX: y', 'has white space, a control character or a backslash in it'],
  ['http://[::1', 'has a malformed host (an IPv6 address stands in brackets)'],
  ['http://[fe80::1%eth0]', 'has a malformed host "fe80::1%eth0"'],
  ['http://[1.2.3.4]', 'has a malformed host "1.2.3.4"'],
  ['http://127.1', 'has a malformed host "127.1"'],
  ['http://0x7f.0.0.0x1', 'has a malformed host "0x7f.0.0.0x1"'],
  ['http://256.1.1.1', 'has a malformed host "256.1.1.1"'],
  ['http://-a', 'has a malformed host "-a"'],
  ['http://a..b', 'has a malformed host "a..b"'],
  ['http://%61', 'has a malformed host "%61"'],
  [`http://${'a'.repeat(3000)}`, 'is longer than 2048 characters'],
])('%j is refused', (text, reason) => {
  expect(parseBackendUrl(text)).toEqual({ ok: false, reason });
});

const nearUrls = fc
  .tuple(
    fc.constantFrom('', 'http://', 'HTTPS://', '//', 'ftp://'),
    fc.oneof(
      fc.domain(),
      fc.ipV4(),
      fc.ipV6().map((ip) => `[${ip}]`),
      fc.string({ maxLength: 6 }),
    ),
    fc.oneof(
      fc.constant(''),
      fc.nat(70_000).map((port) => `:${port}`),
    ),
    fc.constantFrom('', '/', '/x', '?', '#'),
  )
  .map((parts) => parts.join(''));

test('never throws; what is accepted is its own normal form and a URL to others', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.webUrl(), nearUrls), (text) => {
      const result = parseBackendUrl(text);
      if (!result.ok) return;
      const { address } = result;
      expect(parseBackendUrl(address.url)).toEqual(result);
      if (address.socketPath !== '') return;
      expect(parseBackendUrl(`${address.url}/`)).toEqual(result);
      const { origin, pathname, href } = new URL(address.url);
      expect(origin + address.basePath).toBe(address.url);
      expect(pathname).toBe(address.basePath || '/');
      expect(href.replace(/\/$/, '')).toBe(address.url);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ['http://u:geheim@h', '"http://***@h"'],
  ['u:geheim@h:80', '"***@h:80"'],
  ['http://u:ge@heim@h', '"http://***@h"'],
  ['http://u:ge/heim@h', '"http://***@h"'],
  ['http://u:ge heim@h', '"http://***@h"'],
  ['http://u:ge?heim@h', '"http://***@h"'],
])('of %j no part of the password is repeated', (text, shown) => {
  const result = parseBackendUrl(text);
  const reason = result.ok ? '' : result.reason;
  expect(reason).not.toBe('');
  expect(reason).not.toMatch(/geheim|"ge|heim@/);
  expect(shownUrl(text)).toBe(shown);
});
