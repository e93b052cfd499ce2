/** `include *a*a*a*a*x;` was a regular expression, which tried all ways there are to spread a long name over the stars. */
import { expect, test } from 'vitest';
import { filePattern } from '../../src/cli/nginx/file-pattern.ts';

test('a pattern of stars is decided at once', () => {
  expect(filePattern(`${'*a'.repeat(40)}*x`)('a'.repeat(255))).toBe(false);
  expect(filePattern(`${'*a'.repeat(40)}*`)('a'.repeat(255))).toBe(true);
});

test.each([
  ['*.conf', 'a.conf', true],
  ['*.conf', 'a.conf.bak', false],
  ['*.conf', 'aXconf', false],
  ['*', '', true],
  ['a*b*c', 'abbbc', true],
  ['a*b*c', 'abbb', false],
  ['?.conf', 'é.conf', true],
  ['?.conf', '.conf', false],
  ['[a-c]1', 'b1', true],
  ['[!a-c]1', 'b1', false],
  ['[!a-c]1', 'd1', true],
  ['[z-a]', 'z', false],
  ['[]', '[]', true],
  ['a[b', 'a[b', true],
  ['[\\d]', '1', false],
  ['[\\d]', 'd', true],
  ['a.b', 'axb', false],
  ['(a|b)+', 'a', false],
])('%s is %s: %s', (pattern, name, isMeant) => {
  expect(filePattern(pattern)(name)).toBe(isMeant);
});
