import { expect, test } from 'vitest';
import { isValidHost, parseTarget } from '../../src/data/wire/target.ts';

test.each([
  ['GET', '/', '/', null],
  ['GET', '//a/../b/%2e%2e/%2f;p?x=/?&y', '//a/../b/%2e%2e/%2f;p?x=/?&y', null],
  ['GET', '/\\"<>^`{|}', '/\\"<>^`{|}', null],
  ['OPTIONS', '*', '*', null],
  ['GET', 'http://a', '/', 'a'],
  ['OPTIONS', 'http://a', '*', 'a'],
  ['OPTIONS', 'http://a/', '/', 'a'],
  ['OPTIONS', 'http://a?b', '/?b', 'a'],
  ['GET', 'HTTP://A.example:8080/x?y', '/x?y', 'A.example:8080'],
  ['GET', 'https://[::1]:1?q', '/?q', '[::1]:1'],
  ['GET', 'http://a//b', '//b', 'a'],
])('%s %j', (method, target, path, authority) => {
  expect(parseTarget(method, target)).toEqual({ path, authority });
});

test.each([
  ['GET', '*'],
  ['OPTIONS', '**'],
  ['GET', 'a'],
  ['GET', 'a/b'],
  ['GET', '?a'],
  ['GET', 'a:80'],
  ['GET', 'ftp://a/'],
  ['GET', 'file:///etc/passwd'],
  ['GET', 'javascript://a/'],
  ['GET', 'http:/a'],
  ['GET', 'http:a'],
  ['GET', 'http://'],
  ['GET', 'http:///a'],
  ['GET', 'http://?a'],
  ['GET', 'http://a@b/'],
  ['GET', 'http://a:b@c/'],
  ['GET', 'http://a:80:80/'],
  ['GET', 'http://a:99999/'],
  ['GET', 'http://a\\b/'],
])('%s %j is refused', (method, target) => {
  expect(parseTarget(method, target)).toBeNull();
});

test.each([
  'a',
  'a.example',
  'A.EXAMPLE.',
  'a:80',
  'a:',
  'a:0',
  'a:00080',
  'a:65535',
  '127.0.0.1',
  '127.0.0.1:1',
  '[::1]',
  '[::1]:80',
  '[fe80::1]:',
  '[::ffff:1.2.3.4]',
  'xn--bcher-kva.example',
  'a_b',
  'a%20b',
  "!$&'()*+,;=-._~",
])('host %j', (host) => {
  expect(isValidHost(host)).toBe(true);
});

test.each([
  '',
  ':80',
  'a:65536',
  'a:x',
  'a:-1',
  'a:+1',
  'a:80a',
  'a:8 0',
  'a b',
  'a,b c',
  'a/b',
  'a?b',
  'a#b',
  'a@b',
  'a\\b',
  'a"b',
  'a<b',
  'a{b',
  'a\tb',
  'a%2',
  'a%zz',
  'a%',
  '\xe4',
  'a\u0100',
  '[::1',
  '::1',
  '[]',
  '[::1]x',
  '[::1]80',
  '[::g]',
  '[::1%25eth0]',
  '[v1.a]',
  ']',
  '[[::1]]',
])('host %j is refused', (host) => {
  expect(isValidHost(host)).toBe(false);
});
