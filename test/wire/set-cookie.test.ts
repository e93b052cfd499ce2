import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DELETED, setCookieValue, withoutQuotes } from '../../src/data/wire/set-cookie.ts';

const NOW = Date.parse('2026-11-27T08:00:00Z');

describe('what a Set-Cookie field does to the cookie "id"', () => {
  test.each([
    ['id=1', '1'],
    ['id=1; Path=/; HttpOnly', '1'],
    [' id = 1 ;Path=/', '1'],
    ['id="1"; Path=/', '1'],
    ['id="a b"', 'a b'],
    ['id="', '"'],
    ['id=a=b==', 'a=b=='],
    ['id=1; Max-Age=60', '1'],
    ['id=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT', '1'],
    ['id=1; Expires=Fri, 27 Nov 2026 08:00:01 GMT', '1'],
    ['id=1; Expires=never', '1'],
    ['id=1; Max-Age=soon', '1'],
    ['id=1; Max-Age', '1'],
    ['id=1; Max-Age=0; Max-Age=5', '1'],
    ['id=1; Comment=Max-Age=0', '1'],

    ['id=', DELETED],
    ['id=""', DELETED],
    ['id=; Path=/', DELETED],
    ['id=1; Max-Age=0', DELETED],
    ['id=1; max-age = 0 ', DELETED],
    ['id=1;MAX-AGE=-1', DELETED],
    ['id=1; Max-Age=5; Max-Age=0', DELETED],
    ['id=1; Max-Age=0; Expires=Fri, 27 Nov 2026 08:00:01 GMT', DELETED],
    ['id=1; Expires=Fri, 27 Nov 2026 08:00:00 GMT', DELETED],
    // As PHP has written it, and Netscape before.
    ['id=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/', DELETED],

    ['', null],
    ['id', null],
    ['id; id=1', null],
    ['a=id=1', null],
    ['a=1; id=2', null],
    ['ID=1', null],
    ['xid=1', null],
    ['id2=1', null],
    ['=id', null],
  ])('%j', (field, expected) => {
    expect(setCookieValue(field, 'id', NOW)).toBe(expected);
  });

  test('whatever the field: no exception, and only this cookie', () => {
    fc.assert(
      fc.property(fc.string(), (field) => {
        const value = setCookieValue(field, 'id', NOW);
        expect(value === null || /^\s*id\s*=/.test(field)).toBe(true);
      }),
    );
  });

  test('a value with any attributes that say nothing of time is that value', () => {
    const value = fc.stringMatching(/^[!#-:<-~]{1,20}$/);
    const attributes = fc.array(fc.constantFrom('Path=/', 'Secure', 'Domain=a', '', 'X=";'));
    fc.assert(
      fc.property(value, attributes, (text, more) => {
        const field = [`id=${text}`, ...more].join('; ');
        expect(setCookieValue(field, 'id', NOW)).toBe(text);
        expect(setCookieValue(`${field}; Max-Age=0`, 'id', NOW)).toBe(DELETED);
      }),
    );
  });
});

test('quotes are taken off where they are around all of it', () => {
  expect(['"a"', '""', '"', 'a"', '"a', 'a', ''].map(withoutQuotes)).toEqual([
    'a',
    '',
    '"',
    'a"',
    '"a',
    'a',
    '',
  ]);
});
