/** Every test shows the head that a backend gets, line by line, without the framing of a chunked body. */
import { describe, expect, test } from 'vitest';
import { ForwardContext, forwardRequest } from '../../src/data/wire/forward-request.ts';
import { readRequest } from '../../src/data/wire/request.ts';
import { factsOf, getWith, held, RULES } from './parse.ts';

interface Situation {
  readonly peerAddress?: string;
  readonly scheme?: 'http' | 'https';
  readonly isTrusted?: boolean;
  readonly sendForwarded?: boolean;
  readonly sendsXForwarded?: boolean;
  readonly viaName?: string;
  readonly dropsHost?: boolean;
  readonly upgrades?: readonly string[];
}

function forwarded(text: string | Buffer, situation: Situation = {}): string[] {
  const head = held('request', text);
  const facts = readRequest(head, { ...RULES, upgrades: situation.upgrades ?? RULES.upgrades });
  if (typeof facts === 'string') throw new Error(facts);
  const context = new ForwardContext(
    situation.peerAddress ?? '203.0.113.9',
    situation.scheme ?? 'http',
    situation.isTrusted ?? false,
    {
      sendsXForwarded: situation.sendsXForwarded ?? true,
      sendsForwarded: situation.sendForwarded ?? false,
      viaName: situation.viaName ?? 'fairlead-0',
      upgrades: [],
      rewritesLocation: false,
    },
  );
  const result = forwardRequest(head, facts, context, 'made-id', {
    dropsHost: situation.dropsHost ?? false,
    dropsAuthorization: false,
    hasOtherPath: false,
  });
  const lines = `${result.startLine}${result.needsHost ? 'Host: (chosen)\r\n' : ''}${result.fields}`;
  if (!lines.endsWith('\r\n')) throw new Error(`an unfinished line: ${JSON.stringify(lines)}`);
  return lines.slice(0, -2).split('\r\n');
}

/** What every forwarded request of an untrusted client to host `a` ends with. */
const OURS = [
  'X-Forwarded-For: 203.0.113.9',
  'X-Forwarded-Proto: http',
  'X-Forwarded-Port: 80',
  'X-Forwarded-Host: a',
  'X-Request-Id: made-id',
  'Via: 1.1 fairlead-0',
];
const START = ['GET / HTTP/1.1', 'Host: a'];

/** The lines of `GET /` with `fields` that pass, without those that always come. */
function passing(...fields: readonly string[]): string[] {
  const lines = forwarded(getWith(...fields));
  expect(lines.slice(0, 2)).toEqual(START);
  return lines.slice(2).filter((line) => !OURS.includes(line));
}

describe('what passes', () => {
  test('fields keep order, case, white space, number and Latin-1 bytes', () => {
    const fields = [
      'X-b:  two ',
      'x-A:one',
      'COOKIE: a=1',
      'Cookie: b=2; c="\xe4\xff\x80"',
      'X-b:',
      'X-B: \t3',
      'Authorization: Basic eDp5',
      'Range: bytes=0-1',
      'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      '__proto__: 1',
      'constructor: 2',
      'toString: 3',
      'x_custom: 4',
      '0: 5',
    ];
    expect(forwarded(getWith(...fields))).toEqual([...START, ...fields, ...OURS]);
  });

  test('the path and the query are the bytes that were sent', () => {
    const path = '//a/./../%2e%2E/%2f%00;p=1/?q=/../&%zz"<>\\^`{|}';
    expect(forwarded(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)[0]).toBe(`GET ${path} HTTP/1.1`);
  });

  test('the Host field stays where and as it was', () => {
    const lines = forwarded('GET / HTTP/1.1\r\nA: 1\r\nhOST:  Ex.Ample:80 \r\nB: 2\r\n\r\n');
    expect(lines.slice(0, 4)).toEqual(['GET / HTTP/1.1', 'A: 1', 'hOST:  Ex.Ample:80 ', 'B: 2']);
    expect(lines).toContain('X-Forwarded-Host: Ex.Ample:80');
  });

  test('the Host field is left out where another one is sent', () => {
    const lines = forwarded(getWith('A: 1'), { dropsHost: true });
    expect(lines).toEqual(['GET / HTTP/1.1', 'Host: (chosen)', 'A: 1', ...OURS]);
  });

  test('the authority of an absolute target replaces Host', () => {
    const lines = forwarded('GET http://b:1/x?y HTTP/1.1\r\nHost: a\r\nA: 1\r\n\r\n');
    expect(lines.slice(0, 3)).toEqual(['GET /x?y HTTP/1.1', 'Host: (chosen)', 'A: 1']);
    expect(lines.filter((line) => /^(x-forwarded-)?host/i.test(line))).toEqual([
      'Host: (chosen)',
      'X-Forwarded-Host: b:1',
    ]);
    expect(factsOf('GET http://b:1/x?y HTTP/1.1\r\nHost: a\r\n\r\n')).toMatchObject({
      host: 'b:1',
    });
  });

  test('a request in HTTP/1.0 becomes one in HTTP/1.1', () => {
    const lines = forwarded('GET / HTTP/1.0\r\nA: 1\r\nExpect: 100-continue\r\n\r\n');
    expect(lines).toEqual([
      'GET / HTTP/1.1',
      'Host: (chosen)',
      'A: 1',
      ...OURS.slice(0, 3),
      'X-Request-Id: made-id',
      'Via: 1.0 fairlead-0',
    ]);
  });

  test('Via is added after those of earlier proxies', () => {
    const lines = forwarded(getWith('Via: 1.0 x', 'via: 1.1 y'));
    expect(lines.filter((line) => /^via/i.test(line))).toEqual([
      'Via: 1.0 x',
      'via: 1.1 y',
      'Via: 1.1 fairlead-0',
    ]);
  });
});

describe('hop-by-hop fields', () => {
  test.each([
    'Connection: close',
    'Connection: keep-alive',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'Proxy-Authorization: Basic eDp5',
    'Proxy-Authenticate: Basic',
    'Transfer-Encoding: chunked',
    'Upgrade: h2c',
    'Upgrade: websocket',
    'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
    'TE: gzip',
    'TE:',
    'Trailer: X-Sum',
  ])('%s is taken out', (field) => {
    expect(passing('A: 1', field, 'B: 2')).toEqual(['A: 1', 'B: 2']);
    expect(passing(field.toUpperCase().replace('CHUNKED', 'chunked'))).toEqual([]);
  });

  test('a field named in Connection is taken out, whatever its case and number', () => {
    expect(
      passing(
        'x-a: 1',
        'Connection: close, X-A,, x-B',
        'B: 2',
        'X-b: 3',
        'connection: c',
        'C: 4',
        'X-A: 5',
      ),
    ).toEqual(['B: 2']);
  });

  test('what the proxy sets or heeds can not be taken out by naming it (CVE-2024-45410)', () => {
    const names =
      'Host, Content-Length, Authorization, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, ' +
      'X-Forwarded-Port, Forwarded, X-Request-Id, Via, Expect';
    const fields = ['Content-Length: 5', 'Authorization: x', 'Expect: 100-continue'];
    const lines = forwarded(getWith(...fields, `Connection: ${names}`));
    expect(lines).toEqual([...START, ...fields, ...OURS]);
  });

  test('TE: trailers passes, named in Connection', () => {
    expect(passing('TE: trailers')).toEqual(['TE: trailers', 'Connection: TE']);
    expect(passing('te: gzip;q=0.5, Trailers', 'Connection: TE')).toEqual([
      'TE: trailers',
      'Connection: TE',
    ]);
    expect(passing('TE: trailersx')).toEqual([]);
  });

  test('Trailer passes with a chunked body only, and not when Connection names it', () => {
    expect(passing('Trailer: X-Sum', 'Transfer-Encoding: chunked')).toEqual(['Trailer: X-Sum']);
    expect(passing('Trailer: X-Sum', 'Content-Length: 5')).toEqual(['Content-Length: 5']);
    const nominated = ['Trailer: X-Sum', 'Transfer-Encoding: chunked', 'Connection: Trailer'];
    expect(passing(...nominated)).toEqual([]);
  });

  test('h2c is not passed on in any form (h2c smuggling)', () => {
    const fields = ['Upgrade: h2c', 'HTTP2-Settings: AAMA', 'Connection: Upgrade, HTTP2-Settings'];
    expect(passing(...fields)).toEqual([]);
    const mixed = ['Upgrade: h2c, websocket', 'Connection: Upgrade'];
    expect(passing(...mixed)).toEqual(['Connection: Upgrade', 'Upgrade: websocket']);
  });

  test.each([
    [['Connection: Upgrade', 'Upgrade: websocket'], true],
    [['Connection: keep-alive, upgrade', 'Upgrade: WebSocket'], true],
    [['Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 0'], true],
    [['Upgrade: websocket'], false],
    [['Connection: Upgrade'], false],
    [['Connection: Upgrade', 'Upgrade: websockets'], false],
    [['Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 1'], false],
    [['Connection: Upgrade', 'Upgrade: websocket', 'Transfer-Encoding: chunked'], false],
  ])('%j asks for a WebSocket: %s', (fields, isHandshake) => {
    expect(factsOf(getWith(...fields))).toMatchObject({ upgrade: isHandshake ? 'websocket' : '' });
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket'];
    expect(
      forwarded(getWith(...fields)).filter((line) => /^(connection|upgrade)/i.test(line)),
    ).toEqual(isHandshake ? upgrade : []);
  });

  test.each([
    ['websocket', [], ''],
    ['tcp', ['tcp'], 'tcp'],
    ['TCP', ['websocket', 'tcp'], 'tcp'],
    ['h2c, tcp, websocket, foo', ['websocket', 'tcp'], 'tcp, websocket'],
    ['tcp,tcp', ['tcp'], 'tcp'],
    ['tls/1.0, tls', ['tls/1.0'], 'tls/1.0'],
    [',', ['websocket'], ''],
    ['h2c', ['websocket', 'tcp'], ''],
  ])('of %s, with %j in the settings, %j is asked for', (list, upgrades, asked) => {
    const lines = forwarded(getWith('Connection: Upgrade', `Upgrade: ${list}`), { upgrades });
    expect(lines.filter((line) => /^(connection|upgrade)/i.test(line))).toEqual(
      asked === '' ? [] : ['Connection: Upgrade', `Upgrade: ${asked}`],
    );
  });

  test('only a WebSocket needs a GET without a body', () => {
    const text = `POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n`;
    expect(
      readRequest(held('request', text), { viaName: '', upgrades: ['websocket', 'tcp'] }),
    ).toMatchObject({
      upgrade: 'tcp',
    });
  });

  test('only GET and HTTP/1.1 make a handshake', () => {
    const fields = 'Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    expect(factsOf(`POST / HTTP/1.1\r\n${fields}`)).toMatchObject({ upgrade: '' });
    expect(factsOf(`GET / HTTP/1.0\r\n${fields}`)).toMatchObject({ upgrade: '' });
  });
});

describe('where the client comes from', () => {
  const claims = [
    'X-Forwarded-For: 1.2.3.4',
    'x-forwarded-for: 10.0.0.9,  10.0.0.8',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: public.example',
    'X-Forwarded-Port: 443',
    'X-Forwarded-User: admin',
    'X-Forwarded-Prefix: /x',
    'X-Real-IP: 1.2.3.4',
    'Forwarded: for=1.2.3.4',
  ];

  test('what an untrusted peer says of it is dropped', () => {
    expect(forwarded(getWith('A: 1', ...claims, 'B: 2'))).toEqual([
      ...START,
      'A: 1',
      'B: 2',
      ...OURS,
    ]);
  });

  test('what a trusted peer says of it is kept and extended', () => {
    const lines = forwarded(getWith(...claims), { isTrusted: true, peerAddress: '10.0.0.7' });
    expect(lines).toEqual([
      ...START,
      ...claims.slice(2),
      'X-Forwarded-For: 1.2.3.4, 10.0.0.9,  10.0.0.8, 10.0.0.7',
      'X-Request-Id: made-id',
      'Via: 1.1 fairlead-0',
    ]);
  });

  test('what a trusted peer does not say is said here', () => {
    const peer = { isTrusted: true, peerAddress: '2001:db8::7', scheme: 'https' as const };
    expect(forwarded(getWith('X-Forwarded-For:'), peer)).toEqual([
      ...START,
      'X-Forwarded-For: 2001:db8::7',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Port: 443',
      'X-Forwarded-Host: a',
      'X-Request-Id: made-id',
      'Via: 1.1 fairlead-0',
    ]);
  });

  test.each<readonly [Situation, readonly string[]]>([
    [{}, ['Forwarded: for=203.0.113.9;host="a";proto=http']],
    [
      { peerAddress: '2001:db8::1', scheme: 'https' },
      ['Forwarded: for="[2001:db8::1]";host="a";proto=https'],
    ],
    [{ isTrusted: true }, ['Forwarded: for=_x', 'Forwarded: for=203.0.113.9;host="a";proto=http']],
  ])('Forwarded is sent on request (RFC 7239): %j', (situation, expected) => {
    const lines = forwarded(getWith('Forwarded: for=_x'), { sendForwarded: true, ...situation });
    expect(lines.filter((line) => line.startsWith('Forwarded:'))).toEqual(expected);
  });

  test('fields that are a protected one but for underscores are dropped, from trusted peers too', () => {
    const twins = [
      'X_Forwarded_For: 1',
      'x_forwarded-proto: 1',
      'X-Forwarded_Host: 1',
      'X_Real_IP: 1',
    ];
    const more = [
      'Content_Length: 5',
      'Transfer_Encoding: chunked',
      'X_Request_Id: 1',
      'X_Forwarded_User: 1',
    ];
    const text = getWith(...twins, 'X_Other: 1', ...more);
    expect(forwarded(text)).toEqual([...START, 'X_Other: 1', ...OURS]);
    const toTrusted = forwarded(text, { isTrusted: true });
    expect(toTrusted.filter((line) => line.includes('_'))).toEqual(['X_Other: 1']);
  });
});

describe('X-Forwarded-Port', () => {
  test.each<readonly [string, Situation, readonly string[], string]>([
    ['a:8443', {}, [], '8443'],
    ['a', {}, [], '80'],
    ['a:', {}, [], '80'],
    ['a', { scheme: 'https' }, [], '443'],
    ['[2001:db8::1]', { scheme: 'https' }, [], '443'],
    ['[2001:db8::1]:81', {}, [], '81'],
    ['a', { isTrusted: true }, [], '80'],
    ['a', { isTrusted: true }, ['X-Forwarded-Proto: HTTPS'], '443'],
    ['a', { isTrusted: true }, ['X-Forwarded-Proto: https, http'], '443'],
    ['a', { isTrusted: true }, ['X-Forwarded-Proto: wss', 'X-Forwarded-Proto: http'], '443'],
    ['a', { isTrusted: true }, ['X-Forwarded-Proto: http, https'], '80'],
    ['a:8443', { isTrusted: true }, ['X-Forwarded-Proto: https'], '8443'],
    ['a:8443', { isTrusted: true }, ['X-Forwarded-Port: 1'], '1'],
  ])('of host %s in %j with %j is %s', (host, situation, fields, port) => {
    const text = `GET / HTTP/1.1\r\nHost: ${host}\r\n${fields.map((line) => `${line}\r\n`).join('')}\r\n`;
    const lines = forwarded(text, situation).filter((line) => /^x-forwarded-port:/i.test(line));
    expect(lines).toEqual([`X-Forwarded-Port: ${port}`]);
  });

  test('goes by the host of each request of a connection', () => {
    const context = new ForwardContext('::1', 'http', false, {
      sendsXForwarded: true,
      sendsForwarded: false,
      viaName: '',
      upgrades: [],
      rewritesLocation: false,
    });
    expect(['a:1', 'b:2', 'b:2', 'a:1'].map((host) => context.xForwarded(host))).toEqual(
      ['a:1', 'b:2', 'b:2', 'a:1'].map((host) => expect.stringContaining(`-Host: ${host}\r\n`)),
    );
  });
});

describe('what is turned off', () => {
  const OURS_OFF = ['X-Request-Id: made-id', 'Via: 1.1 fairlead-0'];
  const GIVEN = ['X-Forwarded-For: 1.2.3.4', 'X-Forwarded-Proto: https', 'X-Real-IP: 1.2.3.4'];

  test('x_forwarded: nothing is added, and what was forged is dropped all the same', () => {
    const lines = forwarded(getWith(...GIVEN), { sendsXForwarded: false });
    expect(lines).toEqual([...START, ...OURS_OFF]);
  });

  test('x_forwarded: what a trusted peer says passes as it came', () => {
    const lines = forwarded(getWith(...GIVEN), { sendsXForwarded: false, isTrusted: true });
    expect(lines).toEqual([...START, ...GIVEN, ...OURS_OFF]);
  });

  test('via: that of others passes', () => {
    const lines = forwarded(getWith('Via: 1.1 outer'), { viaName: '' });
    expect(lines.filter((line) => line.startsWith('Via'))).toEqual(['Via: 1.1 outer']);
  });
});

describe('X-Request-Id', () => {
  test.each(['abc', '0af7651916cd43dd8448eb211c80319c', 'A-Z_a.z:0/9+=@~', 'x'.repeat(128)])(
    '%j is kept',
    (id) => {
      const lines = forwarded(getWith(`x-request-id:  ${id}`));
      expect(lines.filter((line) => /request-id/i.test(line))).toEqual([`x-request-id:  ${id}`]);
      expect(factsOf(getWith(`X-Request-Id: ${id}`))).toMatchObject({ requestId: id });
    },
  );

  test.each([
    [''],
    ['x'.repeat(129)],
    ['a b'],
    ['a,b'],
    ['a"b'],
    ['<script>'],
    ['a;b'],
    ['\xe4'],
    ['${jndi:x}'],
    ['a?b'],
    ["a'b"],
    ['a[b'],
    ['a`b'],
    ['a{b'],
  ])('%j is replaced', (id) => {
    const lines = forwarded(getWith(`X-Request-Id: ${id}`));
    expect(lines.filter((line) => /request-id/i.test(line))).toEqual(['X-Request-Id: made-id']);
  });

  test('two of them are replaced', () => {
    const lines = forwarded(getWith('X-Request-Id: a', 'X-Request-Id: a'));
    expect(lines.filter((line) => /request-id/i.test(line))).toEqual(['X-Request-Id: made-id']);
  });
});

test.each([
  ['Content-Length: 5', 'Content-Length: 5'],
  ['content-length:\t0 ', 'content-length:\t0 '],
  ['Content-Length: 007', 'Content-Length: 7'],
  ['Content-Length: 000', 'Content-Length: 0'],
])('%j is forwarded as %j', (sent, expected) => {
  expect(passing('A: 1', sent, 'B: 2')).toEqual(['A: 1', expected, 'B: 2']);
});

function optionsWith(value: string): string {
  return `OPTIONS * HTTP/1.1\r\nHost: a\r\nmax-forwards: ${value}\r\n\r\n`;
}

test.each([
  [optionsWith('7'), 'Max-Forwards: 6'],
  [optionsWith('1'), 'Max-Forwards: 0'],
  [optionsWith('007'), 'Max-Forwards: 6'],
  // No number, or another method: passed on as it came.
  [optionsWith('x'), 'max-forwards: x'],
  [optionsWith('9999999999'), 'max-forwards: 9999999999'],
  [getWith('max-forwards: 7'), 'max-forwards: 7'],
])('%j is forwarded with %j', (text, expected) => {
  expect(forwarded(text).filter((line) => /^max-forwards/i.test(line))).toEqual([expected]);
});

test('Max-Forwards: 0 is seen', () => {
  expect(factsOf(optionsWith('0'))).toMatchObject({ maxForwards: 0 });
});

describe('what is refused', () => {
  test.each([
    ['GET / HTTP/1.1\r\n\r\n', 'ERR_NO_HOST'],
    ['GET http://a/ HTTP/1.1\r\n\r\n', 'ERR_NO_HOST'],
    ['GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 'ERR_DUPLICATE_HOST'],
    ['GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n', 'ERR_DUPLICATE_HOST'],
    ['GET / HTTP/1.1\r\nHost:\r\n\r\n', 'ERR_BAD_HOST'],
    ['GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 'ERR_BAD_HOST'],
    ['GET / HTTP/1.0\r\nHost: a/b\r\n\r\n', 'ERR_BAD_HOST'],
    ['GET http://b/ HTTP/1.1\r\nHost: a@b\r\n\r\n', 'ERR_BAD_HOST'],
    ['GET a HTTP/1.1\r\nHost: a\r\n\r\n', 'ERR_BAD_TARGET'],
    ['GET * HTTP/1.1\r\nHost: a\r\n\r\n', 'ERR_BAD_TARGET'],
    ['GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n', 'ERR_BAD_TARGET'],
    ['TRACE / HTTP/1.1\r\nHost: a\r\n\r\n', 'ERR_METHOD_REFUSED'],
    ['CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n', 'ERR_METHOD_REFUSED'],
    [getWith('Content-Length: x'), 'ERR_BAD_CONTENT_LENGTH'],
    [getWith('Transfer-Encoding: x'), 'ERR_BAD_TRANSFER_ENCODING'],
  ])('%j: %s', (text, code) => {
    expect(factsOf(text)).toBe(code);
  });
});

test('facts of a plain request', () => {
  expect(
    factsOf(
      'POST /p?q HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\nAccept: text/html, application/json;q=0\r\nExpect: 100-Continue\r\n\r\n',
    ),
  ).toEqual({
    method: 'POST',
    path: '/p?q',
    host: 'a:1',
    replacesHost: false,
    authenticatesConnection: false,
    versionMinor: 1,
    mayPersist: true,
    bodyKind: 1,
    contentLength: 3,
    upgrade: '',
    expectsContinue: true,
    maxForwards: -1,
    requestId: null,
    nominated: null,
    wantsJson: true,
  });
});
