import { describe, expect, test } from 'vitest';
import type { Head } from '../../../src/data/wire/head.ts';
import { fieldOf } from '../../../src/data/wire/http2/field.ts';
import { FieldList } from '../../../src/data/wire/http2/field-list.ts';
import { Http2Head, type RequestReading } from '../../../src/data/wire/http2/http2-head.ts';
import { readRequest } from '../../../src/data/wire/request.ts';
import { RULES } from '../parse.ts';
import { LIMITS } from './blocks.ts';

const READING: RequestReading = { endsStream: true, requestLineBytes: 8192, webSocketKey: '' };
const WITH_BODY = { ...READING, endsStream: false };
const WITH_SOCKETS = { ...WITH_BODY, webSocketKey: 'dGhlIHNhbXBsZSBub25jZQ==' };

type Fields = readonly (readonly [name: string, value: string])[];

const GET: Fields = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', 'a.example'],
  [':path', '/'],
];

function listOf(fields: Fields): FieldList {
  const list = new FieldList();
  for (const [name, value] of fields) list.add(fieldOf(name, value), LIMITS);
  return list;
}

// One object for all, as in use.
const head = new Http2Head();

function linesOf(of: Head): string[] {
  return of.lines(-1, of.fieldCount).split('\r\n').slice(0, -1);
}

/** What is wrong with it, or its lines in HTTP/1.1. */
function request(fields: Fields, reading = READING): string | string[] {
  return head.readRequest(listOf(fields), reading) ?? linesOf(head);
}

function response(fields: Fields, endsStream = false, answersHead = false): string | string[] {
  return head.readResponse(listOf(fields), endsStream, answersHead) ?? linesOf(head);
}

function trailers(fields: Fields): string | string[] {
  return (
    head.readTrailers(listOf(fields)) ?? head.lines(0, head.fieldCount).split('\r\n').slice(0, -1)
  );
}

/** GET with one pseudo-header changed, or without it. */
function but(name: string, value: string | null): Fields {
  const rest = GET.filter(([other]) => other !== name);
  return value === null ? rest : [...rest, [name, value]];
}

function withoutAuthority(...fields: Fields): string | string[] {
  return request([...but(':authority', null), ...fields]);
}

describe('a request', () => {
  test('is a head of HTTP/1.1', () => {
    const fields: Fields = [...GET, ['accept', '*/*'], ['x-empty', ''], ['priority', 'u=1, i']];
    expect(request(fields)).toEqual([
      'GET / HTTP/1.1',
      'host: a.example',
      'accept: */*',
      'x-empty: ',
      'priority: u=1, i',
    ]);
    expect(head).toMatchObject({
      method: 'GET',
      target: '/',
      versionMinor: 1,
      keepsFirstLine: true,
      fieldCount: 4,
      scheme: 'https',
      authority: 'a.example',
      protocol: '',
      priority: 'u=1, i',
    });
    expect([head.name(1), head.value(1), head.valueLength(1), head.valueCode(1, 1)]).toEqual([
      'accept',
      '*/*',
      3,
      0x2f,
    ]);
    expect(head.isValue(1, '*/*')).toBe(true);
    expect(head.isValue(1, '*/')).toBe(false);
    expect(head.isNamed(1, 'accept')).toBe(true);
    expect(head.isNamed(1, 'accep')).toBe(false);
    expect(head.lines(1, 3)).toBe('accept: */*\r\nx-empty: \r\n');
    // Nothing of it is in the next one.
    expect(request(GET)).toEqual(['GET / HTTP/1.1', 'host: a.example']);
    expect(head).toMatchObject({ fieldCount: 1, priority: '' });
  });

  test('is read by the rules of HTTP/1.1', () => {
    expect(request([...GET, ['content-length', '5']], WITH_BODY)).toHaveLength(3);
    expect(readRequest(head, RULES)).toMatchObject({
      method: 'GET',
      path: '/',
      host: 'a.example',
      versionMinor: 1,
      mayPersist: true,
      contentLength: 5,
    });
    request([...GET, ['content-length', '5'], ['content-length', '6']], WITH_BODY);
    expect(readRequest(head, RULES)).toBe('ERR_BAD_CONTENT_LENGTH');
    request([...GET, ['content-length', '5, 5']], WITH_BODY);
    expect(readRequest(head, RULES)).toBe('ERR_BAD_CONTENT_LENGTH');
    request(but(':authority', null));
    expect(readRequest(head, RULES)).toBe('ERR_NO_HOST');
    request(but(':authority', 'user@a.example'));
    expect(readRequest(head, RULES)).toBe('ERR_BAD_HOST');
    request(but(':authority', ''));
    expect(readRequest(head, RULES)).toBe('ERR_BAD_HOST');
    request(but(':path', '*'));
    expect(readRequest(head, RULES)).toBe('ERR_BAD_TARGET');
  });

  test('has a body that comes as chunks where its length is not said', () => {
    expect(request([...GET, ['a', 'b']], WITH_BODY)).toContain('transfer-encoding: chunked');
    expect(readRequest(head, RULES)).toMatchObject({ contentLength: -1 });
    expect(request([...GET, ['content-length', '0']], WITH_BODY)).not.toContain(
      'transfer-encoding: chunked',
    );
    expect(request(GET)).not.toContain('transfer-encoding: chunked');
  });

  test('may have its pseudo-headers in any order', () => {
    expect(request([...GET].toReversed())).toEqual(['GET / HTTP/1.1', 'host: a.example']);
  });

  describe('names its host', () => {
    test('in a Host field', () => {
      expect(withoutAuthority(['a', 'b'], ['host', 'h:1'])).toEqual([
        'GET / HTTP/1.1',
        'a: b',
        'host: h:1',
      ]);
      expect(head.authority).toBe('h:1');
    });

    test('in both, if they are the same', () => {
      expect(request([...GET, ['a', 'b'], ['host', 'A.Example']])).toEqual([
        'GET / HTTP/1.1',
        'host: a.example',
        'a: b',
      ]);
      expect(request([...GET, ['host', 'b.example']])).toBe('ERR_BAD_HOST');
      expect(request([...GET, ['host', 'a.example:80']])).toBe('ERR_BAD_HOST');
    });

    test('once', () => {
      expect(withoutAuthority(['host', 'a'], ['host', 'a'])).toBe('ERR_DUPLICATE_HOST');
      expect(request([...GET, ['host', 'a.example'], ['host', 'a.example']])).toBe(
        'ERR_DUPLICATE_HOST',
      );
    });
  });

  test('has one Cookie field', () => {
    const crumbs: Fields = [
      ...GET,
      ['cookie', 'a=b'],
      ['x', 'y'],
      ['cookie', 'c=d'],
      ['cookie', 'e'],
    ];
    expect(request(crumbs)).toEqual([
      'GET / HTTP/1.1',
      'host: a.example',
      'cookie: a=b; c=d; e',
      'x: y',
    ]);
    expect(request([...GET, ['cookie', 'a=b']])).toContain('cookie: a=b');
    expect(request([...GET, ['cookie', 'a'], ['cookie', '']])).toContain('cookie: a; ');
  });

  test.each([
    ['no :method', but(':method', null), 'ERR_BAD_REQUEST_LINE'],
    ['no :scheme', but(':scheme', null), 'ERR_BAD_REQUEST_LINE'],
    ['no :path', but(':path', null), 'ERR_BAD_REQUEST_LINE'],
    ['nothing at all', [], 'ERR_BAD_REQUEST_LINE'],
    ['two :method', [...GET, [':method', 'GET']], 'ERR_BAD_REQUEST_LINE'],
    ['two :path', [...GET, [':path', '/']], 'ERR_BAD_REQUEST_LINE'],
    ['two :scheme', [...GET, [':scheme', 'https']], 'ERR_BAD_REQUEST_LINE'],
    ['two :authority', [...GET, [':authority', 'a.example']], 'ERR_BAD_REQUEST_LINE'],
    ['a :status', [...GET, [':status', '200']], 'ERR_BAD_REQUEST_LINE'],
    ['a pseudo-header that nobody knows', [...GET, [':a', 'b']], 'ERR_BAD_FIELD_NAME'],
    ['one without a name', [...GET, [':', 'b']], 'ERR_BAD_FIELD_NAME'],
    ['one in upper case', but(':method', null).concat([[':Method', 'GET']]), 'ERR_BAD_FIELD_NAME'],
    [
      'one behind fields',
      [...but(':path', null), ['a', 'b'], [':path', '/']],
      'ERR_BAD_REQUEST_LINE',
    ],
    ['a second one behind fields', [...GET, ['a', 'b'], [':path', '/']], 'ERR_BAD_REQUEST_LINE'],
    ['an empty method', but(':method', ''), 'ERR_BAD_METHOD'],
    ['a method that is no token', but(':method', 'G T'), 'ERR_BAD_METHOD'],
    ['a method with a line end', but(':method', 'GET / HTTP/1.1\r\nA:'), 'ERR_BAD_METHOD'],
    ['a method of 33 bytes', but(':method', 'A'.repeat(33)), 'ERR_BAD_METHOD'],
    ['an empty path', but(':path', ''), 'ERR_BAD_TARGET'],
    ['a path without a slash', but(':path', 'a'), 'ERR_BAD_TARGET'],
    ['a whole URL', but(':path', 'http://b.example/'), 'ERR_BAD_TARGET'],
    ['a query alone', but(':path', '?a'), 'ERR_BAD_TARGET'],
    ['more than a star', but(':path', '*/'), 'ERR_BAD_TARGET'],
    ['a path with a space', but(':path', '/ HTTP/1.1'), 'ERR_BAD_TARGET'],
    ['a path with a line end', but(':path', '/\r\nA: b'), 'ERR_BAD_TARGET'],
    ['a path with a tab', but(':path', '/\ta'), 'ERR_BAD_TARGET'],
    ['a path with a fragment', but(':path', '/#a'), 'ERR_BAD_TARGET'],
    ['a path beyond ASCII', but(':path', '/\xe9'), 'ERR_BAD_TARGET'],
    ['a path that is too long', but(':path', `/${'a'.repeat(8192)}`), 'ERR_TARGET_TOO_LONG'],
    ['another scheme', but(':scheme', 'ftp'), 'ERR_BAD_TARGET'],
    ['an empty scheme', but(':scheme', ''), 'ERR_BAD_TARGET'],
    ['a host with a line end', but(':authority', 'a\r\nb: c'), 'ERR_BAD_FIELD_VALUE'],
    ['a host with space around it', but(':authority', ' a'), 'ERR_BAD_FIELD_VALUE'],
    [
      'a :protocol that was not offered',
      [...GET, [':protocol', 'websocket']],
      'ERR_BAD_REQUEST_LINE',
    ],
  ] satisfies [string, Fields, string][])('may not have %s', (_name, fields, error) => {
    expect(request(fields)).toBe(error);
    expect(head.detail).not.toBe('');
  });

  test('may have a request line of the length that HTTP/1.1 may', () => {
    const path = `/${'a'.repeat(100)}`;
    const { length } = `GET ${path} HTTP/1.1`;
    expect(request(but(':path', path), { ...READING, requestLineBytes: length })).toHaveLength(2);
    expect(request(but(':path', path), { ...READING, requestLineBytes: length - 1 })).toBe(
      'ERR_TARGET_TOO_LONG',
    );
  });
});

describe('a field', () => {
  const BAD: readonly (readonly [string, string, string, string])[] = [
    ['an empty name', '', 'a', 'ERR_BAD_FIELD_NAME'],
    ['a name in upper case', 'Accept', 'a', 'ERR_BAD_FIELD_NAME'],
    ['a name with a space', 'a b', 'a', 'ERR_BAD_FIELD_NAME'],
    ['a name with a colon', 'a:b', 'a', 'ERR_BAD_FIELD_NAME'],
    ['a name with a line end', 'a\r\nb', 'a', 'ERR_BAD_FIELD_NAME'],
    ['a name with NUL', 'a\0', 'a', 'ERR_BAD_FIELD_NAME'],
    ['a name beyond ASCII', 'h\xf6st', 'a', 'ERR_BAD_FIELD_NAME'],
    ['a value with CR', 'a', 'b\rc', 'ERR_BAD_FIELD_VALUE'],
    ['a value with LF', 'a', 'b\nc: d', 'ERR_BAD_FIELD_VALUE'],
    ['a value with NUL', 'a', 'b\0c', 'ERR_BAD_FIELD_VALUE'],
    ['a value with DEL', 'a', 'b\x7fc', 'ERR_BAD_FIELD_VALUE'],
    ['a value with space before it', 'a', ' b', 'ERR_BAD_FIELD_VALUE'],
    ['a value with a tab behind it', 'a', 'b\t', 'ERR_BAD_FIELD_VALUE'],
    ['a value of a space', 'a', ' ', 'ERR_BAD_FIELD_VALUE'],
    ['connection', 'connection', 'close', 'ERR_BAD_FIELD_NAME'],
    ['proxy-connection', 'proxy-connection', 'a', 'ERR_BAD_FIELD_NAME'],
    ['keep-alive', 'keep-alive', 'a', 'ERR_BAD_FIELD_NAME'],
    ['upgrade', 'upgrade', 'h2c', 'ERR_BAD_FIELD_NAME'],
    ['transfer-encoding', 'transfer-encoding', 'chunked', 'ERR_BAD_TRANSFER_ENCODING'],
    ['te', 'te', 'gzip', 'ERR_BAD_FIELD_VALUE'],
    ['te, beside trailers', 'te', 'trailers, gzip', 'ERR_BAD_FIELD_VALUE'],
  ];

  test.each(BAD)('of no message: %s', (_name, name, value, error) => {
    expect(request([...GET, ['a', 'b'], [name, value]])).toBe(error);
    expect(
      response([
        [':status', '200'],
        [name, value],
      ]),
    ).toBe(error);
    expect(trailers([[name, value]])).toBe(error);
  });

  test.each([
    ['te', 'trailers'],
    ['a', ''],
    ['a', 'b \t c'],
    ['a', '\xe9\x80\xff'],
    ['a_b', 'c'],
    ["!#$%&'*+-.^_`|~0", 'c'],
    ['__proto__', 'c'],
  ])('of any: %s: %o', (name, value) => {
    expect(request([...GET, [name, value]])).toEqual([
      'GET / HTTP/1.1',
      'host: a.example',
      `${name}: ${value}`,
    ]);
    expect(trailers([[name, value]])).toEqual([`${name}: ${value}`]);
  });
});

describe('CONNECT', () => {
  const TARGET: Fields = [
    [':scheme', 'https'],
    [':path', '/chat?a'],
    [':authority', 'a.example'],
  ];
  const SOCKET: Fields = [[':method', 'CONNECT'], [':protocol', 'websocket'], ...TARGET];

  test('is refused, once it is one', () => {
    const tunnel: Fields = [
      [':method', 'CONNECT'],
      [':authority', 'b:443'],
    ];
    expect(request(tunnel)).not.toBe('ERR_BAD_REQUEST_LINE');
    expect(readRequest(head, RULES)).toBe('ERR_METHOD_REFUSED');
    expect(request([...tunnel, [':path', '/']])).toBe('ERR_BAD_REQUEST_LINE');
    expect(request([...tunnel, [':scheme', 'https']])).toBe('ERR_BAD_REQUEST_LINE');
    expect(request([[':method', 'CONNECT']])).toBe('ERR_BAD_REQUEST_LINE');
  });

  test('for WebSocket is the handshake of HTTP/1.1', () => {
    const fields: Fields = [
      ...SOCKET,
      ['sec-websocket-version', '13'],
      ['sec-websocket-key', 'of the client'],
    ];
    expect(request(fields, WITH_SOCKETS)).toEqual([
      'GET /chat?a HTTP/1.1',
      'host: a.example',
      'sec-websocket-version: 13',
      'connection: Upgrade',
      'upgrade: websocket',
      'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
    ]);
    expect(head.protocol).toBe('websocket');
    expect(readRequest(head, { ...RULES, upgrades: ['websocket'] })).toMatchObject({
      method: 'GET',
      upgrade: 'websocket',
    });
  });

  test('for anything else is refused', () => {
    const fields: Fields = [[':method', 'CONNECT'], [':protocol', 'connect-udp'], ...TARGET];
    expect(request(fields, WITH_SOCKETS)).not.toBe('ERR_BAD_REQUEST_LINE');
    expect(readRequest(head, RULES)).toBe('ERR_METHOD_REFUSED');
  });

  test.each([
    ['without :path', SOCKET.filter(([name]) => name !== ':path'), 'ERR_BAD_REQUEST_LINE'],
    ['without :scheme', SOCKET.filter(([name]) => name !== ':scheme'), 'ERR_BAD_REQUEST_LINE'],
    ['without :authority', SOCKET.filter(([name]) => name !== ':authority'), 'ERR_NO_HOST'],
    ['with another method', [...GET, [':protocol', 'websocket']], 'ERR_BAD_REQUEST_LINE'],
    ['with a length', [...SOCKET, ['content-length', '0']], 'ERR_BAD_CONTENT_LENGTH'],
  ] satisfies [string, Fields, string][])('for WebSocket, %s', (_name, fields, error) => {
    expect(request(fields, WITH_SOCKETS)).toBe(error);
  });
});

describe('a response', () => {
  test('is a head of HTTP/1.1', () => {
    expect(
      response([
        [':status', '404'],
        ['server', 'a'],
        ['set-cookie', 'a'],
        ['set-cookie', 'b'],
      ]),
    ).toEqual(['HTTP/1.1 404 Not Found', 'server: a', 'set-cookie: a', 'set-cookie: b']);
    expect(head).toMatchObject({ status: 404, reason: 'Not Found', fieldCount: 3 });
    expect(response([[':status', '799']])).toEqual(['HTTP/1.1 799 ']);
  });

  test('without a body says so, where it might have one', () => {
    const of = (status: string, endsStream: boolean, answersHead = false) =>
      response([[':status', status]], endsStream, answersHead).slice(1);
    expect(of('200', true)).toEqual(['content-length: 0']);
    expect(of('200', false)).toEqual([]);
    expect(of('200', true, true)).toEqual([]);
    expect(of('204', true)).toEqual([]);
    expect(of('304', true)).toEqual([]);
    expect(
      response(
        [
          [':status', '200'],
          ['content-length', '5'],
        ],
        true,
        true,
      ),
    ).toEqual(['HTTP/1.1 200 OK', 'content-length: 5']);
  });

  test.each([
    ['nothing', []],
    ['no :status', [['a', 'b']]],
    [
      'a :status behind fields',
      [
        ['a', 'b'],
        [':status', '200'],
      ],
    ],
    [
      'two :status',
      [
        [':status', '200'],
        [':status', '200'],
      ],
    ],
    [
      'a :path',
      [
        [':status', '200'],
        [':path', '/'],
      ],
    ],
    ['an empty status', [[':status', '']]],
    ['a status of two digits', [[':status', '20']]],
    ['a status of four digits', [[':status', '2000']]],
    ['a status below 100', [[':status', '099']]],
    ['a status that is no number', [[':status', '2e2']]],
    ['a status with a space', [[':status', ' 20']]],
    ['a status with a sign', [[':status', '+20']]],
    ['switching protocols', [[':status', '101']]],
  ] satisfies [string, Fields][])('may not have %s', (_name, fields) => {
    expect(response(fields)).toBe('ERR_BAD_REQUEST_LINE');
  });

  test('that is not the last may not end the stream', () => {
    expect(
      response([
        [':status', '103'],
        ['link', 'a'],
      ]),
    ).toEqual(['HTTP/1.1 103 Early Hints', 'link: a']);
    expect(response([[':status', '103']], true)).toBe('ERR_BAD_REQUEST_LINE');
  });
});

test('trailers have no pseudo-headers', () => {
  expect(
    trailers([
      ['grpc-status', '0'],
      ['a', ''],
    ]),
  ).toEqual(['grpc-status: 0', 'a: ']);
  expect(trailers([[':status', '200']])).toBe('ERR_BAD_REQUEST_LINE');
  expect(
    trailers([
      ['a', 'b'],
      [':path', '/'],
    ]),
  ).toBe('ERR_BAD_REQUEST_LINE');
  expect(trailers([])).toEqual([]);
});
