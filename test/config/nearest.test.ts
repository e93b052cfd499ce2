import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TOP_LEVEL_KEYS } from '../../src/config/schema/schema.ts';
import { didYouMean, editDistance, nearestName } from '../../src/config/values/nearest.ts';
import { problemsOf } from './load-text.ts';

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

test.each([
  ['upstreams', 'unknown key (did you mean "backends"?)'],
  ['listen', 'unknown key (did you mean "port" or "host"?)'],
  ['tls', 'unknown key (did you mean "ssl"?)'],
  ['log', 'unknown key (did you mean "log_level"?)'],
  ['banana', 'unknown key'],
])('%s, a word of other programs or the beginning of one of ours: %s', (key, message) => {
  const [problem] = problemsOf(`${key}: 1`);
  expect(problem).toBe(`c.yaml:1:1: ${key}: ${message}`);
});

test('a word says nothing where what it means is not known', () => {
  const synonyms = new Map([['tls', ['ssl']]]);
  expect(didYouMean('tls', ['port'], synonyms)).toEqual({});
});
