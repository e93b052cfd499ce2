import fc from 'fast-check';
import { expect, test } from 'vitest';
import { editDistance, nearestName } from '../../src/config/nearest.ts';
import { TOP_LEVEL_KEYS } from '../../src/config/schema.ts';

test.each([
  ['', '', 0],
  ['port', 'port', 0],
  ['prot', 'port', 1],
  ['prt', 'port', 1],
  ['kitten', 'sitting', 3],
  ['', 'abc', 3],
])('from %j to %j it is %i', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
});

test.each([
  ['prot', 'port'],
  ['adminPort', 'admin_port'],
  ['admin-port', 'admin_port'],
  ['backend', 'backends'],
  ['health_check_intreval', undefined],
  ['health_check_freqency', 'health_check_frequency'],
  ['stratgey', 'strategy'],
  ['logs', undefined],
  ['banana', undefined],
  ['x', undefined],
  ['p'.repeat(1000), undefined],
])('the key nearest to %s is %s', (name, nearest) => {
  expect(nearestName(name, TOP_LEVEL_KEYS)).toBe(nearest);
});

test('a distance is symmetric, and 0 only for the same', () => {
  const word = fc.string({ maxLength: 8 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      expect(editDistance(a, b)).toBe(editDistance(b, a));
      expect(editDistance(a, b) === 0).toBe(a === b);
    }),
  );
});
