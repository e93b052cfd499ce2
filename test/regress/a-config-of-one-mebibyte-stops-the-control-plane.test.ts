/**
 * `POST /config:validate` with 600 KB of aliases kept the control plane busy for ten minutes, and 1 MiB of brackets,
 * commas or slips for 5 to 20 s: the parser can't be interrupted, so what it gets is bounded before it runs.
 */
import { expect, test } from 'vitest';
import { fill, fillJson, JSON_SHAPES, YAML_SHAPES } from '../config/costly-texts.ts';
import { loadText } from '../config/load-text.ts';

/** What the parser may be given: a little under its bound of 20,000 lines, keys and values. */
const PASSES = 19_900;

/** Of processor time, so that a busy machine fails nothing; the best of three, so that a collection doesn't either. */
function costMs(text: string, name: string): number {
  const costs = [1, 2, 3].map(() => {
    const before = process.cpuUsage();
    loadText(text, { name });
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  });
  return Math.min(...costs);
}

test.each(YAML_SHAPES)('%s: 1 MiB, and as many as are parsed', (_what, prefix, part, marks) => {
  expect(costMs(fill(prefix, part), 'c.yaml')).toBeLessThan(500);
  expect(costMs(prefix + part.repeat(Math.floor(PASSES / marks) - 10), 'c.yaml')).toBeLessThan(500);
});

test.each(JSON_SHAPES)('JSON, %s', (_what, prefix, part, end) => {
  expect(costMs(fillJson(prefix, part, end), 'c.json')).toBeLessThan(500);
});

test('what a list of 20 KB repeats through its aliases is counted before it is resolved', () => {
  const list = `a: &a [${'x,'.repeat(9000)}]\n`;
  const result = loadText(`${list}backends: [${'*a,'.repeat(90)}]`, { name: 'c.yaml' });
  expect(result.ok ? [] : result.problems.map(({ message }) => message)).toEqual([
    'has more than 50000 values with its aliases filled in',
  ]);
});
