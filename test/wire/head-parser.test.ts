import { describe, expect, test } from 'vitest';
import {
  FIELD_FORWARDED_FOR,
  FIELD_FORWARDED_OTHER,
  FIELD_HOST,
  FIELD_OTHER,
  FIELD_SET_COOKIE,
  FIELD_TE,
  FIELD_UNDERSCORE_TWIN,
} from '../../src/data/wire/fields.ts';
import { PARSE_DONE, PARSE_FAILED, PARSE_MORE } from '../../src/data/wire/first-line.ts';
import { FIRST_LINE } from '../../src/data/wire/head.ts';
import { HeadParser } from '../../src/data/wire/head-parser.ts';
import { getWith, LIMITS, latin1, parseHead } from './parse.ts';

describe('requests', () => {
  test('method, target, version and fields come out as they were sent', () => {
    const text =
      'gEt /a//b/../%2f?q=%00&ü=1 HTTP/1.0\r\nHOST: a:1\r\nx-One:\t two  words \t\r\nEmpty:\r\n\r\n';
    expect(parseHead('request', text.replace('ü', '%FC'))).toMatchObject({
      outcome: 'done',
      length: text.length + 2,
      line: 'gEt /a//b/../%2f?q=%00&%FC=1 0',
      fields: [
        ['HOST', 'a:1'],
        ['x-One', 'two  words'],
        ['Empty', ''],
      ],
    });
  });

  test('what follows the head is not touched', () => {
    const head = getWith();
    expect(parseHead('request', `${head}\0\0body`)).toMatchObject({
      outcome: 'done',
      length: head.length,
    });
  });

  test('one empty line before the request line is skipped, and belongs to the head', () => {
    const head = `\r\n${getWith()}`;
    expect(parseHead('request', head)).toMatchObject({
      outcome: 'done',
      length: head.length,
      line: 'GET / 1',
    });
    expect(parseHead('request', `\r\n${head}`).outcome).toBe('ERR_BAD_REQUEST_LINE');
  });

  test.each([
    ['M'.repeat(32), 'done'],
    ['M'.repeat(33), 'ERR_BAD_METHOD'],
    ["!#$%&'*+-.^_`|~09azAZ", 'done'],
    ['', 'ERR_BAD_METHOD'],
    [' GET', 'ERR_BAD_METHOD'],
    ['\tGET', 'ERR_BAD_METHOD'],
    ['G(T', 'ERR_BAD_METHOD'],
    ['G\0T', 'ERR_BAD_METHOD'],
    ['G\x80T', 'ERR_BAD_METHOD'],
    ['G:T', 'ERR_BAD_METHOD'],
  ])('method %j: %s', (method, outcome) => {
    expect(parseHead('request', `${method} / HTTP/1.1\r\n\r\n`).outcome).toBe(outcome);
  });

  test.each([
    ['GET / HTTP/1.1\r\n', 'more'],
    ['GET  / HTTP/1.1\r\n', 'ERR_BAD_TARGET'],
    ['GET\t/ HTTP/1.1\r\n', 'ERR_BAD_METHOD'],
    ['GET /\r\n', 'ERR_BAD_REQUEST_LINE'],
    ['GET\r\n', 'ERR_BAD_REQUEST_LINE'],
    ['GET /\n', 'ERR_BAD_REQUEST_LINE'],
    ['\nGET / HTTP/1.1\r\n', 'ERR_BAD_REQUEST_LINE'],
    ['\r\rGET / HTTP/1.1\r\n', 'ERR_BAD_LINE_END'],
    ['GET /a b HTTP/1.1\r\n', 'ERR_BAD_VERSION'],
    ['GET /#a HTTP/1.1\r\n', 'ERR_BAD_TARGET'],
    ['GET /\x7f HTTP/1.1\r\n', 'ERR_BAD_TARGET'],
    ['GET /\xe4 HTTP/1.1\r\n', 'ERR_BAD_TARGET'],
    ['GET /\0 HTTP/1.1\r\n', 'ERR_BAD_TARGET'],
    ['GET /\t HTTP/1.1\r\n', 'ERR_BAD_TARGET'],
    ['GET / HTTP/1.1 \r\n', 'ERR_BAD_VERSION'],
    ['GET / HTTP/1.1\n', 'ERR_BAD_VERSION'],
    ['GET / HTTP/1.1\rX', 'ERR_BAD_LINE_END'],
    ['GET / HTTP/1.1\r\r\n', 'ERR_BAD_LINE_END'],
    ['GET /  HTTP/1.1\r\n', 'ERR_BAD_VERSION'],
    ['GET / http/1.1\r\n', 'ERR_BAD_VERSION'],
    ['GET / HTTP/1,1\r\n', 'ERR_BAD_VERSION'],
    ['GET / HTTP/11.1\r\n', 'ERR_BAD_VERSION'],
    ['GET / HTTP/1.10\r\n', 'ERR_BAD_VERSION'],
    ['GET / HTTP/1\r\n', 'ERR_BAD_VERSION'],
    ['GET / HTTP/x.1\r\n', 'ERR_BAD_VERSION'],
    ['GET / ICE/1.1\r\n', 'ERR_BAD_VERSION'],
    ['GET / HTTP/0.9\r\n', 'ERR_VERSION_UNSUPPORTED'],
    ['GET / HTTP/1.9\r\n', 'more'],
    ['GET / HTTP/2.0\r\n', 'ERR_VERSION_UNSUPPORTED'],
    ['PRI * HTTP/2.0\r\n', 'ERR_VERSION_UNSUPPORTED'],
    // A TLS client at the plain port.
    ['\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03', 'ERR_BAD_METHOD'],
  ])('request line %j: %s', (line, outcome) => {
    expect(parseHead('request', line).outcome).toBe(outcome);
  });
});

test.each([
  ['A: 1\nB: 2\r\n', 'ERR_BAD_LINE_END'],
  ['A: 1\rB: 2\r\n', 'ERR_BAD_LINE_END'],
  ['A: 1\r\r\n', 'ERR_BAD_LINE_END'],
  ['A: 1\r\n\n', 'ERR_BAD_LINE_END'],
  ['\n', 'ERR_BAD_LINE_END'],
  ['\r\r\n', 'ERR_BAD_LINE_END'],
  ['A: 1\0\r\n', 'ERR_BAD_FIELD_VALUE'],
  ['A: \x01\r\n', 'ERR_BAD_FIELD_VALUE'],
  ['A: 1\x0b\r\n', 'ERR_BAD_FIELD_VALUE'],
  ['A: 1\x7f\r\n', 'ERR_BAD_FIELD_VALUE'],
  ['A: 1\x1b[2J\r\n', 'ERR_BAD_FIELD_VALUE'],
  ['A : 1\r\n', 'ERR_BAD_FIELD_NAME'],
  ['A\t: 1\r\n', 'ERR_BAD_FIELD_NAME'],
  [' A: 1\r\n', 'ERR_BAD_FIELD_NAME'],
  ['\tA: 1\r\n', 'ERR_BAD_FIELD_NAME'],
  ['A: 1\r\n B\r\n', 'ERR_OBS_FOLD'],
  ['A: 1\r\n\tB: 2\r\n', 'ERR_OBS_FOLD'],
  ['A: 1\r\n \r\n', 'ERR_OBS_FOLD'],
  [': 1\r\n', 'ERR_BAD_FIELD_NAME'],
  ['A\r\n', 'ERR_BAD_FIELD_NAME'],
  ['A B: 1\r\n', 'ERR_BAD_FIELD_NAME'],
  ['A\0: 1\r\n', 'ERR_BAD_FIELD_NAME'],
  ['\xc4: 1\r\n', 'ERR_BAD_FIELD_NAME'],
  ['"A": 1\r\n', 'ERR_BAD_FIELD_NAME'],
  ['A(x): 1\r\n', 'ERR_BAD_FIELD_NAME'],
  ['A/B: 1\r\n', 'ERR_BAD_FIELD_NAME'],
  ['A: 1\r\n\r\n', 'done'],
  ['A:\r\n\r\n', 'done'],
  ['A: :\r\n\r\n', 'done'],
  ['A:1\r\n\r\n', 'done'],
  ['A: \t \r\n\r\n', 'done'],
  ['A: \x80\xff\xa0\r\n\r\n', 'done'],
  ["!#$%&'*+-.^_`|~09azAZ: 1\r\n\r\n", 'done'],
])('field section %j: %s, in every kind of head', (fields, outcome) => {
  expect(parseHead('request', `GET / HTTP/1.1\r\n${fields}`).outcome).toBe(outcome);
  expect(parseHead('response', `HTTP/1.1 200 OK\r\n${fields}`).outcome).toBe(outcome);
  expect(parseHead('trailer', fields).outcome).toBe(outcome);
});

describe('responses', () => {
  test.each([
    ['HTTP/1.1 200 OK\r\n\r\n', '200 OK 1'],
    ['HTTP/1.0 404 Not  Found \r\n\r\n', '404 Not  Found  0'],
    ['HTTP/1.1 200 \r\n\r\n', '200  1'],
    // RFC 9112 §4 wants the space; many servers leave it out.
    ['HTTP/1.1 200\r\n\r\n', '200  1'],
    ['HTTP/1.1 100 Continue\r\n\r\n', '100 Continue 1'],
    ['HTTP/1.1 999 \xe4\t!\r\n\r\n', '999 \xe4\t! 1'],
  ])('%j', (text, line) => {
    expect(parseHead('response', text)).toMatchObject({ outcome: 'done', line });
  });

  test.each([
    ['HTTP/1.1 099 No\r\n', 'ERR_BAD_REQUEST_LINE'],
    ['HTTP/1.1 000 No\r\n', 'ERR_BAD_REQUEST_LINE'],
    ['HTTP/1.1 20 OK\r\n', 'ERR_BAD_REQUEST_LINE'],
    ['HTTP/1.1 2000 OK\r\n', 'ERR_BAD_REQUEST_LINE'],
    ['HTTP/1.1 2x0 OK\r\n', 'ERR_BAD_REQUEST_LINE'],
    ['HTTP/1.1 +20 OK\r\n', 'ERR_BAD_REQUEST_LINE'],
    ['HTTP/1.1  200 OK\r\n', 'ERR_BAD_REQUEST_LINE'],
    ['HTTP/1.1 200\tOK\r\n', 'ERR_BAD_REQUEST_LINE'],
    ['HTTP/1.1\r\n', 'ERR_BAD_REQUEST_LINE'],
    ['HTTP/1.1 200 O\0K\r\n', 'ERR_BAD_LINE_END'],
    ['HTTP/1.1 200 OK\n', 'ERR_BAD_LINE_END'],
    ['HTTP/1.1 200 OK\rX', 'ERR_BAD_LINE_END'],
    ['HTTP/2.0 200 OK\r\n', 'ERR_VERSION_UNSUPPORTED'],
    ['HTTP/2 200 OK\r\n', 'ERR_BAD_VERSION'],
    ['HTTP/1.9 200 OK\r\n', 'more'],
    ['ICY 200 OK\r\n', 'ERR_BAD_VERSION'],
    ['\r\nHTTP/1.1 200 OK\r\n', 'ERR_BAD_VERSION'],
    ['<html>', 'ERR_BAD_VERSION'],
    ['SSH-2.0-OpenSSH_9.2\r\n', 'ERR_BAD_VERSION'],
  ])('%j: %s', (text, outcome) => {
    expect(parseHead('response', text).outcome).toBe(outcome);
  });
});

function lineOf(length: number): string {
  return `GET /${'a'.repeat(length - 'GET / HTTP/1.1'.length)} HTTP/1.1`;
}

function headOf(length: number): string {
  const start = 'GET / HTTP/1.1\r\nA: ';
  return `${start}${'a'.repeat(length - start.length - 4)}\r\n\r\n`;
}

function fieldLines(count: number): string {
  return 'A: 1\r\n'.repeat(count);
}

describe('limits', () => {
  const limits = { ...LIMITS, requestLineBytes: 64, headBytes: 256, fields: 3 };

  test('a request line of exactly the limit passes, one more byte does not', () => {
    expect(parseHead('request', `${lineOf(64)}\r\n\r\n`, { limits }).outcome).toBe('done');
    expect(parseHead('request', `\r\n${lineOf(64)}\r\n\r\n`, { limits }).outcome).toBe('done');
    expect(parseHead('request', `${lineOf(65)}\r\n\r\n`, { limits }).outcome).toBe(
      'ERR_TARGET_TOO_LONG',
    );
    expect(parseHead('request', `\r\n${lineOf(65)}\r\n\r\n`, { limits }).outcome).toBe(
      'ERR_TARGET_TOO_LONG',
    );
  });

  test('a head of exactly the limit passes, one more byte does not', () => {
    expect(parseHead('request', headOf(256), { limits }).outcome).toBe('done');
    expect(parseHead('request', headOf(257), { limits }).outcome).toBe('ERR_HEAD_TOO_LARGE');
    expect(parseHead('request', headOf(256).slice(0, -1), { limits }).outcome).toBe('more');
    // It does not wait for the end of something that can't end in time.
    expect(parseHead('request', headOf(400).slice(0, 256), { limits }).outcome).toBe(
      'ERR_HEAD_TOO_LARGE',
    );
  });

  test('so many fields and no more', () => {
    expect(parseHead('trailer', `${fieldLines(3)}\r\n`, { limits }).outcome).toBe('done');
    expect(parseHead('trailer', `${fieldLines(4)}\r\n`, { limits }).outcome).toBe(
      'ERR_HEAD_TOO_LARGE',
    );
  });

  test('a response line has the limit of the head', () => {
    const status = 'HTTP/1.1 200 ';
    const whole = `${status}${'a'.repeat(256 - status.length - 4)}\r\n\r\n`;
    expect(parseHead('response', whole, { limits }).outcome).toBe('done');
    expect(parseHead('response', `${status}${'a'.repeat(256)}`, { limits }).outcome).toBe(
      'ERR_HEAD_TOO_LARGE',
    );
  });
});

test('known names are found without regard to case; only underscores make a twin', () => {
  const names: readonly (readonly [string, number])[] = [
    ['hOsT', FIELD_HOST],
    ['te', FIELD_TE],
    ['X-FORWARDED-FOR', FIELD_FORWARDED_FOR],
    ['X_Forwarded_For', FIELD_UNDERSCORE_TWIN],
    ['x-forwarded_for', FIELD_UNDERSCORE_TWIN],
    ['Content_Length', FIELD_UNDERSCORE_TWIN],
    ['Transfer_Encoding', FIELD_UNDERSCORE_TWIN],
    ['X-Forwarded-Anything', FIELD_FORWARDED_OTHER],
    ['X-Forwarded-', FIELD_OTHER],
    ['X-Forwarded', FIELD_OTHER],
    ['X_Forwarded_Anything', FIELD_UNDERSCORE_TWIN],
    ['x-real-ip', FIELD_FORWARDED_OTHER],
    ['Set-Cookie', FIELD_SET_COOKIE],
    ['__proto__', FIELD_OTHER],
    ['constructor', FIELD_OTHER],
    ['x_custom', FIELD_OTHER],
    ['X-Forwarded-Fox', FIELD_FORWARDED_OTHER],
    ['hos', FIELD_OTHER],
    ['N'.repeat(500), FIELD_OTHER],
  ];
  const text = names.map(([name]) => `${name}: 1\r\n`).join('');
  expect(parseHead('trailer', `${text}\r\n`).ids).toEqual(names.map(([, id]) => id));
});

test('a parser that was reset knows nothing of the head before', () => {
  const parser = new HeadParser('request', LIMITS);
  const first = latin1(`\r\n${getWith('A: 1', 'B: 2')}`);
  const second = latin1('DELETE /x HTTP/1.0\r\nC: 3\r\n\r\n');
  expect(parser.parse(first, 0, first.length)).toBe(PARSE_DONE);
  parser.reset();
  expect(parser.isUntouched).toBe(true);
  expect(parser.parse(second, 0, 1)).toBe(PARSE_MORE);
  expect(parser.isUntouched).toBe(false);
  expect(parser.parse(second, 0, second.length)).toBe(PARSE_DONE);
  expect(parser).toMatchObject({
    length: second.length,
    fieldCount: 1,
    versionMinor: 0,
    method: 'DELETE',
  });
  expect(parser.lines(0, 1)).toBe('C: 3\r\n');
});

test('an empty line alone begins nothing', () => {
  const parser = new HeadParser('request', LIMITS);
  expect(parser.parse(latin1('\r\n'), 0, 2)).toBe(PARSE_MORE);
  expect(parser.isUntouched).toBe(true);
});

test('a head is a view of the bytes that brought its end, without a copy', () => {
  const parser = new HeadParser('request', LIMITS);
  const text = `\r\n${getWith('A: 1', 'b:  two ')}`;
  const early = latin1(text.slice(0, 30));
  expect(parser.parse(early, 0, early.length)).toBe(PARSE_MORE);
  early.fill('x');
  const whole = latin1(`....${text}rest`);
  expect(parser.parse(whole, 4, whole.length)).toBe(PARSE_DONE);
  expect([parser.method, parser.target, parser.name(2), parser.value(2)]).toEqual([
    'GET',
    '/',
    'b',
    'two',
  ]);
  expect([parser.isNamed(1, 'a'), parser.isNamed(1, 'b'), parser.isNamed(2, 'b')]).toEqual([
    true,
    false,
    true,
  ]);
  expect([parser.isValue(2, 'two'), parser.isValue(2, 'Two'), parser.isValue(2, 'tw')]).toEqual([
    true,
    false,
    false,
  ]);
  expect([parser.valueLength(2), parser.valueCode(2, 1)]).toEqual([3, 'w'.charCodeAt(0)]);
  expect(parser.lines(FIRST_LINE, 2)).toBe('GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\n');
  expect(parser.lines(1, 3)).toBe('A: 1\r\nb:  two \r\n');
});

test('of a head that has failed, or waits for more, the first line can be read', () => {
  const parser = new HeadParser('request', LIMITS);
  const wrong = latin1('BREW /pot HTTP/1.0\r\nno colon\r\n\r\n');
  expect(parser.parse(wrong, 0, wrong.length)).toBe(PARSE_FAILED);
  expect(parser).toMatchObject({ hasFirstLine: true, method: 'BREW', target: '/pot' });
  parser.reset();
  const half = latin1('HEAD /long');
  expect(parser.parse(half, 0, half.length)).toBe(PARSE_MORE);
  parser.lieIn(latin1('..HEAD /long'), 2);
  expect(parser).toMatchObject({ hasFirstLine: false, method: 'HEAD' });
  parser.reset();
  expect(parser.method).toBe('');
});
