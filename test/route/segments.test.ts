import { expect, test } from 'vitest';
import { restAfter, segmentAt } from '../../src/data/route/segments.ts';

test.each<[string, number, string]>([
  ['/users/7/photos?a=/b', 0, 'users'],
  ['/users/7/photos?a=/b', 1, '7'],
  ['/users/7/photos?a=/b', 2, 'photos'],
  ['/users/7/photos?a=/b', 3, ''],
  ['/users/7/photos?a=/b', 9, ''],
  ['/a//c', 1, ''],
  ['/a/', 0, 'a'],
  ['/a/', 1, ''],
  ['/', 0, ''],
  ['*', 0, ''],
  ['/caf%C3%A9', 0, 'caf%C3%A9'],
])('of %s, segment %i is "%s"', (path, index, segment) => {
  expect(segmentAt(path, index)).toBe(segment);
});

test.each<[string, number, string]>([
  ['/old/a/b?c/d', 0, '/old/a/b'],
  ['/old/a/b?c/d', 1, '/a/b'],
  ['/old/a/b?c/d', 3, ''],
  ['/old/a/b?c/d', 7, ''],
  ['/old/', 1, '/'],
  ['/old', 1, ''],
  ['/?x', 0, '/'],
])('of %s, %i segments leave "%s"', (path, segments, rest) => {
  expect(restAfter(path, segments)).toBe(rest);
});
