import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { comparedPath, normalPath, type PathRules } from '../../src/data/wire/path.ts';

const USUAL: PathRules = { keepsEncodedSlashes: false, mergesSlashes: true };
const KEEPING: PathRules = { keepsEncodedSlashes: true, mergesSlashes: true };
const SEPARATE: PathRules = { keepsEncodedSlashes: false, mergesSlashes: false };

describe('a path', () => {
  test.each([
    // Nothing to do.
    ['/', '/'],
    ['*', '*'],
    ['/a/b.c/d..e/...f/~-_!$&()*+,;=:@', '/a/b.c/d..e/...f/~-_!$&()*+,;=:@'],
    ['/.well-known/acme-challenge/x', '/.well-known/acme-challenge/x'],
    ['/a/...', '/a/...'],
    // Dot segments, plain and encoded, once and not twice.
    ['/a/./b', '/a/b'],
    ['/a/../b', '/b'],
    ['/a/b/..', '/a/'],
    ['/a/b/.', '/a/b/'],
    ['/a/..', '/'],
    ['/.', '/'],
    ['/public/%2e%2e/admin', '/admin'],
    ['/public/.%2E/admin', '/admin'],
    ['/public/%2e./%2e/admin', '/admin'],
    ['/a/%252e%252e/b', '/a/%252e%252e/b'],
    // Unreserved characters are what they are; everything else stays, in upper case.
    ['/%61dmin', '/admin'],
    ['/%41%5a%61%7A%30%39%2d%5f%7e', '/AZaz09-_~'],
    ['/caf%c3%a9', '/caf%C3%A9'],
    ['/%40%3a%20%25%3f%23', '/%40%3A%20%25%3F%23'],
    // What no path may have as it is, as browsers send it or encoded.
    ['/a|b', '/a%7Cb'],
    ['/{id}"<x>^`', '/%7Bid%7D%22%3Cx%3E%5E%60'],
    ['/a%7cb%7B', '/a%7Cb%7B'],
    ['/%7cA{/../b', '/b'],
    ['/a?{b}', '/a?{b}'],
    ['/[1]', '/[1]'],
    // Empty segments.
    ['//admin', '/admin'],
    ['/a//b///c//', '/a/b/c/'],
    ['//', '/'],
    ['/a//../b', '/b'],
    // The query is nobody's business.
    ['/a?b/../%2f%00\\//', '/a?b/../%2f%00\\//'],
    ['/a/../b?c/../d?%61', '/b?c/../d?%61'],
    ['/?', '/?'],
    ['/./?x', '/?x'],
  ])('%s is %s', (path, expected) => {
    expect(normalPath(path, USUAL)).toBe(expected);
  });

  test.each([
    '/..',
    '/../etc/passwd',
    '/a/../../b',
    '/%2e%2e/a',
    '/a%2fb',
    '/a%2Fb',
    '/a%5cb',
    '/a\\b',
    '/a%00b',
    '/%',
    '/%4',
    '/%zz',
    '/%4g?%41',
    '/%4?1',
    '/static/..;/admin',
    '/static/..;x=1/admin',
    '/static/.;/admin',
    '/static/%2e%2e;/admin',
    '/a/..%2fb',
  ])('%s is refused', (path) => {
    expect(normalPath(path, USUAL)).toBeNull();
  });

  test('that needs nothing is the same string, not a copy', () => {
    const path = `/${'long-enough-to-be-compared/'.repeat(4)}?a=%2f`;
    expect(normalPath(path, USUAL)).toBe(path);
  });

  test('may have a name that only begins like a dot segment', () => {
    expect(normalPath('/..a/.b;c/...;d', USUAL)).toBe('/..a/.b;c/...;d');
  });
});

describe('where encoded slashes are kept', () => {
  test.each([
    ['/group%2fproject/x', '/group%2Fproject/x'],
    ['/a%5cb%2F%2f', '/a%5Cb%2F%2F'],
    ['/a%2f.b/c', '/a%2F.b/c'],
    ['/a%2Fb/../c', '/c'],
  ])('%s is %s', (path, expected) => {
    expect(normalPath(path, KEEPING)).toBe(expected);
  });

  test.each([
    '/a%2f..',
    '/a%2f..%2fb',
    '/..%2fa',
    '/.%5ca',
    '/a%5c%2e%2e/b',
    '/a%2f..;x%2fb',
    '/a%00',
    '/a\\b',
  ])('%s is refused nevertheless', (path) => {
    expect(normalPath(path, KEEPING)).toBeNull();
  });
});

describe('where slashes are not merged', () => {
  test.each([
    ['//a', '//a'],
    ['/a//b//', '/a//b//'],
    ['/https://example.com/./x', '/https://example.com/x'],
    ['/a//../b', '/a/b'],
    ['//..', '/'],
  ])('%s is %s', (path, expected) => {
    expect(normalPath(path, SEPARATE)).toBe(expected);
  });
});

describe('as routes compare it', () => {
  test.each([
    ['/%40x/%3A%21?%40', '/@x/:!?%40'],
    ['/%24%26%27%28%29%2A%2B%2C%3D%5B%5D', "/$&'()*+,=[]"],
    ['/%3B%2F%5C%25%3F%23%20%7B%C3%A9', '/%3B%2F%5C%25%3F%23%20%7B%C3%A9'],
    ['/%2540', '/%2540'],
    ['/a/b?%40', '/a/b?%40'],
    ['*', '*'],
    ['/%4', '/%4'],
  ])('%s is %s', (path, expected) => {
    expect(comparedPath(path)).toBe(expected);
  });
});

const pieces = fc.constantFrom(
  '/',
  '/',
  '/',
  '.',
  '..',
  '%2e',
  '%2E',
  'a',
  'b;c',
  '%61',
  '%7e',
  '%c3%A9',
  '%25',
  '%2f',
  '%5C',
  '%00',
  '%',
  ';',
  '\\',
  '{',
  '|',
  '%7b',
);
const paths = fc.array(pieces, { maxLength: 12 }).map((parts) => `/${parts.join('')}`);
const rules = fc.record({ keepsEncodedSlashes: fc.boolean(), mergesSlashes: fc.boolean() });

describe('whatever the path', () => {
  test('its normal form stays as it is', () => {
    fc.assert(
      fc.property(paths, rules, (path, by) => {
        const normal = normalPath(path, by);
        expect(normal === null ? null : normalPath(normal, by)).toBe(normal);
      }),
      { numRuns: 2000 },
    );
  });

  test('what passes has no dot segments in the reading of any backend', () => {
    fc.assert(
      fc.property(paths, rules, (path, by) => {
        const normal = normalPath(path, by);
        if (normal === null) return;
        // As Tomcat and IIS read: decoded, with backslashes for slashes, without parameters.
        const decoded = normal
          .replaceAll(/%[0-9A-F]{2}/g, (triplet) =>
            String.fromCharCode(Number.parseInt(triplet.slice(1), 16)),
          )
          .replaceAll('\\', '/');
        const segments = decoded.split('/').map((segment) => segment.replace(/;.*/, ''));
        expect(segments).not.toContain('..');
        expect(segments).not.toContain('.');
        const mayHaveEmpty = !by.mergesSlashes || by.keepsEncodedSlashes;
        expect(!mayHaveEmpty && decoded.includes('//')).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  test('it is resolved as a browser does that', () => {
    fc.assert(
      fc.property(paths, (path) => {
        const normal = normalPath(path, SEPARATE);
        if (normal === null) return;
        const { pathname } = new URL(`http://a${path}`);
        const decoded = pathname.replaceAll(/%[0-9a-f]{2}/gi, (triplet) => {
          const character = String.fromCharCode(Number.parseInt(triplet.slice(1), 16));
          return /[\w.~-]/.test(character) ? character : triplet.toUpperCase();
        });
        // Of `/.b/..`, the URL of Node 20 leaves both at times, which no browser does (WHATWG URL, "path state").
        if (/\/\.\.?(?:\/|$)/.test(decoded)) return;
        // They leave a bar as it is.
        expect(normal).toBe(decoded.replaceAll('|', '%7C'));
      }),
      { numRuns: 2000 },
    );
  });
});
