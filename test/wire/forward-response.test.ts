/** Every test shows the head that the client gets, line by line. */
import { describe, expect, test } from 'vitest';
import {
  createConnectionOptions,
  readConnectionOptions,
} from '../../src/data/wire/connection-options.ts';
import { forwardResponse } from '../../src/data/wire/forward-response.ts';
import type { RedirectRule } from '../../src/data/wire/location.ts';
import { held } from './parse.ts';

function forwarded(
  text: string,
  {
    isChunked = false,
    connectionLine = '',
    sendsVia = true,
    keepsDate = false,
    redirects = null,
  }: {
    isChunked?: boolean;
    connectionLine?: string;
    sendsVia?: boolean;
    keepsDate?: boolean;
    redirects?: RedirectRule | null;
  } = {},
): string[] {
  const head = held('response', text);
  const options = createConnectionOptions();
  readConnectionOptions(head, options);
  const result = forwardResponse(head, options, {
    isChunked,
    dropsLength: false,
    connectionLine,
    addedFields: '',
    redirects,
    sendsVia,
    clock: { dateLine: `${DATE}\r\n` },
  });
  if (!result.endsWith('\r\n\r\n'))
    throw new Error(`an unfinished head: ${JSON.stringify(result)}`);
  const lines = result.slice(0, -4).split('\r\n');
  return keepsDate ? lines : lines.filter((line) => line !== DATE);
}

function response(status: string, ...fields: readonly string[]): string {
  return [`HTTP/1.1 ${status}`, ...fields, '', ''].join('\r\n');
}

const DATE = 'Date: (now)';
const VIA = 'Via: 1.1 fairlead';

test('fields keep order, case, white space, number and Latin-1 bytes', () => {
  const fields = [
    'Set-Cookie: a=1; Path=/',
    'x-b:  2 ',
    'set-cookie: b=2',
    'Set-Cookie: a=1; Path=/',
    'X-A: \xe4\xff',
    'WWW-Authenticate: Basic realm="x"',
    'Content-Length: 5',
    'Connection_: x',
    '__proto__: 1',
  ];
  expect(forwarded(response('200 OK', ...fields))).toEqual(['HTTP/1.1 200 OK', ...fields, VIA]);
});

test.each([
  ['HTTP/1.1 200 OK', 'HTTP/1.1 200 OK'],
  ['HTTP/1.0 200 OK', 'HTTP/1.1 200 OK'],
  ['HTTP/1.1 404 Nich\xe4 da', 'HTTP/1.1 404 Nich\xe4 da'],
  ['HTTP/1.1 599', 'HTTP/1.1 599 '],
])('%j becomes %j: the version is ours, the reason theirs', (line, expected) => {
  expect(forwarded(`${line}\r\n\r\n`)[0]).toBe(expected);
});

test('Via names the version that the backend spoke, after earlier ones', () => {
  expect(forwarded('HTTP/1.0 200 OK\r\nVia: 1.1 x\r\n\r\n').slice(1)).toEqual([
    'Via: 1.1 x',
    'Via: 1.0 fairlead',
  ]);
});

test('hop-by-hop fields and those that Connection names are taken out', () => {
  const lines = forwarded(
    response(
      '200 OK',
      'A: 1',
      'Connection: keep-alive, X-Internal',
      'Keep-Alive: timeout=5',
      'Proxy-Connection: x',
      'Proxy-Authenticate: Basic',
      'Proxy-Authentication-Info: x',
      'Transfer-Encoding: chunked',
      'TE: x',
      'Trailer: X-Sum',
      'Upgrade: h2c',
      'x-internal: secret',
      'B: 2',
    ),
  );
  expect(lines).toEqual(['HTTP/1.1 200 OK', 'A: 1', 'B: 2', VIA]);
});

test('a backend can not have Content-Length or Via taken out by naming them', () => {
  const fields = ['Content-Length: 5', 'Via: 1.1 x'];
  expect(forwarded(response('200 OK', ...fields, 'Connection: content-length, via'))).toEqual([
    'HTTP/1.1 200 OK',
    ...fields,
    VIA,
  ]);
});

test('a chunked body is announced, with Trailer if there was one', () => {
  const text = response('200 OK', 'Transfer-Encoding: chunked', 'Trailer: X-Sum');
  expect(forwarded(text, { isChunked: true })).toEqual([
    'HTTP/1.1 200 OK',
    'Trailer: X-Sum',
    'Transfer-Encoding: chunked',
    VIA,
  ]);
  const nominated = response('200 OK', 'Connection: trailer', 'Trailer: X-Sum');
  expect(forwarded(nominated, { isChunked: true })).toEqual([
    'HTTP/1.1 200 OK',
    'Transfer-Encoding: chunked',
    VIA,
  ]);
});

test('the Connection field is what the proxy decides', () => {
  const closing = { connectionLine: 'Connection: close\r\n' };
  expect(forwarded(response('200 OK', 'Connection: keep-alive'), closing)).toEqual([
    'HTTP/1.1 200 OK',
    VIA,
    'Connection: close',
  ]);
});

describe('Content-Length where no body follows', () => {
  test.each([
    ['100 Continue', false],
    ['103 Early Hints', false],
    ['204 No Content', false],
    ['304 Not Modified', true],
    // To a HEAD: what the body of the GET would have.
    ['200 OK', true],
  ])('%s: kept %s', (status, isKept) => {
    const lines = forwarded(response(status, 'Content-Length: 5', 'A: 1'));
    expect(lines.includes('Content-Length: 5')).toBe(isKept);
    expect(lines).toContain('A: 1');
  });
});

describe('Upgrade', () => {
  test('passes with a 101', () => {
    const text = response('101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade');
    expect(forwarded(text)).toEqual([
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      VIA,
      'Connection: Upgrade',
    ]);
  });

  test('passes with a 426 (RFC 9110 §15.5.22)', () => {
    const text = response('426 Upgrade Required', 'Upgrade: TLS/1.0', 'Connection: Upgrade');
    expect(forwarded(text)).toContain('Upgrade: TLS/1.0');
    expect(forwarded(text)).toContain('Connection: Upgrade');
    expect(forwarded(text, { connectionLine: 'Connection: close\r\n' })).toContain(
      'Connection: close, Upgrade',
    );
  });

  test('does not pass with anything else', () => {
    expect(forwarded(response('200 OK', 'Upgrade: h2,h2c', 'Connection: Upgrade'))).toEqual([
      'HTTP/1.1 200 OK',
      VIA,
    ]);
  });
});

test.each([
  ['200 OK', [], [VIA, DATE]],
  ['404 Not Found', ['dATE: x'], ['dATE: x', VIA]],
  ['103 Early Hints', [], [VIA]],
] as const)(
  '%s with %j: a final answer has a Date (RFC 9110 §6.6.1)',
  (status, fields, expected) => {
    expect(forwarded(response(status, ...fields), { keepsDate: true }).slice(1)).toEqual(expected);
  },
);

test('without Via where none is wanted, and never with a version that is not ours', () => {
  const text = response('200 OK', 'Via: 1.0 x').replace('1.1', '1.7');
  expect(forwarded(text, { sendsVia: false })).toEqual(['HTTP/1.1 200 OK', 'Via: 1.0 x']);
});
