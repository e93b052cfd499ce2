import { describe, expect, test } from 'vitest';
import {
  createConnectionOptions,
  readConnectionOptions,
} from '../../src/data/wire/connection-options.ts';
import { ForwardContext } from '../../src/data/wire/forward-request.ts';
import { forwardResponse } from '../../src/data/wire/forward-response.ts';
import { type BackendOrigin, clientOrigin, rewriteRedirect } from '../../src/data/wire/location.ts';
import { readRequest } from '../../src/data/wire/request.ts';
import { getWith, held, RULES } from './parse.ts';

const PLAIN: BackendOrigin = { tls: false, host: 'app.local', port: 3001, basePath: '' };
const ORIGIN = 'https://shop.example';

function head(...lines: readonly string[]) {
  return held('response', ['HTTP/1.1 302 Found', ...lines, '', ''].join('\r\n'));
}

function rewritten(line: string, backend: BackendOrigin = PLAIN): string | null {
  return rewriteRedirect(head(line), 0, { backend, clientOrigin: ORIGIN });
}

describe('Location', () => {
  test.each([
    ['http://app.local:3001/a?b#c', `${ORIGIN}/a?b#c`],
    ['HTTP://App.LOCAL:3001/', `${ORIGIN}/`],
    ['http://app.local:3001', ORIGIN],
    ['http://app.local:3001?x=http://app.local:3001/', `${ORIGIN}?x=http://app.local:3001/`],
    ['http://app.local:3001#x', `${ORIGIN}#x`],
    ['http://app.local:3001/\xe4', `${ORIGIN}/\xe4`],
  ])('%s becomes %s', (value, expected) => {
    expect(rewritten(`Location: ${value}`)).toBe(expected);
  });

  test.each([
    'https://app.local:3001/',
    'http://app.local/',
    'http://app.local:80/',
    'http://app.local:30010/',
    'http://app.local:3001x/',
    'http://app.local:03001/',
    'http://app.local.:3001/',
    'http://app.local.evil:3001/',
    'http://xapp.local:3001/',
    'http://user@app.local:3001/',
    'http://app.local:3001@evil/',
    'http://app.local:3001\\@evil/',
    'http://app.local:3001 /',
    'http:/app.local:3001/',
    'http:app.local:3001/',
    '//app.local:3001/',
    '/http://app.local:3001/',
    'app.local:3001/',
    '',
  ])('%j passes as it is', (value) => {
    expect(rewritten(`Location: ${value}`)).toBe(null);
  });

  test.each([
    [false, 80, 'http://app.local/x', true],
    [false, 80, 'http://app.local:80/x', true],
    [false, 80, 'http://app.local:/x', true],
    [false, 80, 'https://app.local/x', false],
    [true, 443, 'https://app.local/x', true],
    [true, 443, 'HTTPS://app.local:443/x', true],
    [true, 443, 'http://app.local:443/x', false],
    [true, 80, 'https://app.local/x', false],
    [true, 80, 'https://app.local:80/x', true],
  ])('with TLS: %s at port %i, %s is its own: %s', (tls, port, value, isOwn) => {
    const backend = { ...PLAIN, tls, port };
    expect(rewritten(`Location: ${value}`, backend)).toBe(isOwn ? `${ORIGIN}/x` : null);
  });

  test('of an IPv6 address stands in brackets', () => {
    const backend = { tls: false, host: '::1', port: 3001, basePath: '' };
    expect(rewritten('Location: http://[::1]:3001/x', backend)).toBe(`${ORIGIN}/x`);
    expect(rewritten('Location: http://::1:3001/x', backend)).toBe(null);
  });
});

describe('of a backend below a path', () => {
  const below = { ...PLAIN, basePath: '/base' };

  test.each([
    ['http://app.local:3001/base/a?b#c', `${ORIGIN}/a?b#c`],
    ['http://app.local:3001/base', `${ORIGIN}/`],
    ['http://app.local:3001/base?x', `${ORIGIN}/?x`],
    ['http://app.local:3001/base/', `${ORIGIN}/`],
    ['http://app.local:3001/basement', null],
    ['http://app.local:3001/other', null],
    ['http://app.local:3001', null],
    ['http://other/base/a', null],
    ['/base/a?b', `${ORIGIN}/a?b`],
    ['/base', `${ORIGIN}/`],
    ['/base#x', `${ORIGIN}/#x`],
    // Without an origin these would be URLs of the host evil.
    ['/base//evil/', `${ORIGIN}//evil/`],
    ['/base/\t/evil/', `${ORIGIN}/\t/evil/`],
    ['/base/\\evil/', `${ORIGIN}/\\evil/`],
    ['/basement', null],
    ['/a', null],
    ['//base/a', null],
    ['base/a', null],
    ['', null],
  ])('%j becomes %j', (value, expected) => {
    expect(rewritten(`Location: ${value}`, below)).toBe(expected);
  });

  test('a Refresh is taken out of it too', () => {
    expect(rewritten("Refresh: 1; url='/base/a'", below)).toBe(`1; url='${ORIGIN}/a'`);
    expect(rewritten("Refresh: 1; url='/base'", below)).toBe(`1; url='${ORIGIN}/'`);
  });
});

describe('Refresh', () => {
  test.each([
    ['5; url=http://app.local:3001/a', `5; url=${ORIGIN}/a`],
    ['0;URL=http://app.local:3001', `0;URL=${ORIGIN}`],
    ['0, url = "http://app.local:3001/a"', `0, url = "${ORIGIN}/a"`],
    ["0; url='http://app.local:3001'", `0; url='${ORIGIN}'`],
    ['5', null],
    ['5; url=/a', null],
    ['5; url=http://other/?url=http://app.local:3001/', null],
    ['5; http://app.local:3001/', null],
    ['http://app.local:3001/', null],
  ])('%s becomes %s', (value, expected) => {
    expect(rewritten(`Refresh: ${value}`)).toBe(expected);
  });
});

test('in a head nothing else is touched, and order, names and number stay', () => {
  const lines = [
    'X-A: http://app.local:3001/',
    'lOcation: http://app.local:3001/a',
    'Content-Location: http://app.local:3001/a',
    'Location: http://other/',
    'Refresh: 1; url=http://app.local:3001/b',
    'Link: <http://app.local:3001/>',
  ];
  const shape = {
    isChunked: false,
    dropsLength: false,
    connectionLine: '',
    addedFields: '',
    sendsVia: false,
    clock: { dateLine: '' },
  };
  const options = createConnectionOptions();
  const redirects = { backend: PLAIN, clientOrigin: ORIGIN };
  expect(forwardResponse(head(...lines), options, { ...shape, redirects }).split('\r\n')).toEqual([
    'HTTP/1.1 302 Found',
    lines[0],
    `lOcation: ${ORIGIN}/a`,
    lines[2],
    lines[3],
    `Refresh: 1; url=${ORIGIN}/b`,
    lines[5],
    '',
    '',
  ]);
  expect(forwardResponse(head(...lines), options, { ...shape, redirects: null })).toBe(
    ['HTTP/1.1 302 Found', ...lines, '', ''].join('\r\n'),
  );
  const named = head('Connection: location', 'Location: http://app.local:3001/a');
  readConnectionOptions(named, options);
  expect(forwardResponse(named, options, { ...shape, redirects })).toBe(
    'HTTP/1.1 302 Found\r\n\r\n',
  );
});

function origin(isTrusted: boolean, scheme: 'http' | 'https', text: string): string {
  const request = held('request', text);
  const facts = readRequest(request, RULES);
  if (typeof facts === 'string') throw new Error(facts);
  const rules = {
    ...RULES,
    sendsXForwarded: true,
    sendsForwarded: false,
    dropsHost: false,
    rewritesLocation: true,
  };
  return clientOrigin(request, facts, new ForwardContext('::1', scheme, isTrusted, rules));
}

describe('the origin that the client used', () => {
  const forwarded = ['X-Forwarded-Proto: HTTPS', 'X-Forwarded-Host: Shop.example:8443, inner'];

  test.each([
    [false, 'http', getWith(), 'http://a'],
    [false, 'https', getWith(), 'https://a'],
    [false, 'http', 'GET http://B:81/ HTTP/1.1\r\nHost: a\r\n\r\n', 'http://B:81'],
    [false, 'http', 'GET / HTTP/1.0\r\n\r\n', ''],
    [false, 'http', getWith(...forwarded), 'http://a'],
    [true, 'http', getWith(...forwarded), 'https://Shop.example:8443'],
    [true, 'http', getWith('X-Forwarded-Proto: ftp', 'X-Forwarded-Host: b/c'), 'http://a'],
    [true, 'https', getWith(), 'https://a'],
  ] as const)('trusted: %s, over %s, of %j is %j', (isTrusted, scheme, text, expected) => {
    expect(origin(isTrusted, scheme, text)).toBe(expected);
  });
});
