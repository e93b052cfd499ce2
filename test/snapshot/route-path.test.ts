import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { comparedPath, normalPath } from '../../src/data/wire/path.ts';
import { readRoutePath } from '../../src/snapshot/route-path.ts';

/** As text again: a name in braces. */
function shown(written: string): string {
  const path = readRoutePath(written);
  if (typeof path === 'string') return path;
  const segments = path.segments.map((one) => (one.kind === 'text' ? one.text : `{${one.name}}`));
  return `${path.kind} of ${segments.length}: ${segments.join(' | ')}`;
}

describe('what is written', () => {
  test.each([
    ['/', 'prefix of 0: '],
    ['/v1', 'prefix of 1: v1'],
    ['/v1/', 'prefix of 1: v1'],
    ['/v1/users', 'prefix of 2: v1 | users'],
    ['=/', 'exact of 1: '],
    ['=/v1', 'exact of 1: v1'],
    ['=/v1/', 'exact of 2: v1 | '],
    ['/users/:id/photos', 'prefix of 3: users | {id} | photos'],
    ['=/users/:id', 'exact of 2: users | {id}'],
    ['/:a_1/:B', 'prefix of 2: {a_1} | {B}'],
    ['/a:b/c', 'prefix of 2: a:b | c'],
    // The normal form of data/wire/path.ts.
    ['/%61dmin/%7e/caf%c3%a9', 'prefix of 3: admin | ~ | caf%C3%A9'],
    ['/café au lait', 'prefix of 1: caf%C3%A9%20au%20lait'],
    ['/a%2fb', 'prefix of 1: a%2Fb'],
    ['/%40me/%3aid/%2B%5b', 'prefix of 3: @me | :id | +['],
    ['/a|b/{c}"<>^`/%7c', 'prefix of 3: a%7Cb | %7Bc%7D%22%3C%3E%5E%60 | %7C'],
    ['/a;b%3b', 'prefix of 1: a;b%3B'],
  ])('%s is %s', (written, expected) => {
    expect(shown(written)).toBe(expected);
  });

  test.each([
    ['', 'must begin with'],
    ['v1', 'must begin with'],
    ['=', 'must begin with'],
    ['=v1', 'must begin with'],
    ['/a?b', 'must end before "?"'],
    ['/a#b', 'must end before "?"'],
    ['/a\\b', 'backslashes'],
    ['/a%5Cb', 'backslashes'],
    ['/a%00', 'NULs'],
    ['/a%', 'hexadecimal'],
    ['/a%4g', 'hexadecimal'],
    ['/a\nb', 'control'],
    ['/a\u{d800}', 'control'],
    ['/a/../b', 'dot segments'],
    ['/a/%2e', 'dot segments'],
    ['/a//b', 'empty segments'],
    ['//', 'empty segments'],
    ['/:', 'has ":" where'],
    ['/:id.json', 'has ":id.json" where'],
    ['/:1', 'has ":1" where'],
    ['/:id/x/:id', 'two segments "id"'],
  ])('%j is refused: %s', (written, fault) => {
    expect(readRoutePath(written)).toContain(fault);
  });
});

test('a path of a request that is written into a route is the same path there', () => {
  const rules = { keepsEncodedSlashes: true, mergesSlashes: true };
  // All that the target of a request may have, as it is and encoded.
  const character = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
  const triplet = fc.integer({ min: 0, max: 255 }).map((byte) => `%${hex(byte)}`);
  const piece = fc.oneof(fc.constantFrom('/', 'a', '.b'), character, triplet);
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (parts) => {
      const spelt = `/${parts.join('')}`;
      const written = readRoutePath(`=${spelt}`);
      fc.pre(typeof written !== 'string');
      fc.pre(written.segments.every(({ kind }) => kind === 'text'));
      const segments = written.segments.map((one) => (one.kind === 'text' ? one.text : ''));
      const asked = normalPath(spelt, rules);
      // What is refused of a request needs no route.
      fc.pre(asked !== null);
      expect(`/${segments.join('/')}`).toBe(comparedPath(asked));
    }),
    { numRuns: 5000 },
  );
});

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
