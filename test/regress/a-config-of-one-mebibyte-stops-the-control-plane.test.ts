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

/** A little under the bounds of 40,000 values in a list of a JSON text, and 80,000 in all. */
const VALUES = 39_000;
const MAPPINGS = 26_000;

test.each([
  ['numbers for statuses', '{"retries":{"on_status":[', '1,', VALUES, '1]}}'],
  ['numbers for backends', '{"backends":[', '1,', VALUES, '1]}'],
  ['empty backends', '{"backends":[', '{},', VALUES, '{}]}'],
  ['wrong backends', '{"backends":[', '{"url":"x","wieght":1},', MAPPINGS, '1]}'],
  ['the same backend', '{"backends":[', '"http://a",', VALUES, '"x"]}'],
  ['unset variables', '{"backends":[', '"${A}",', VALUES, '"x"]}'],
  ['routes to nowhere', '{"routes":[', '{"pool":"x"},', 9_999, '{"pool":"x"}]}'],
  ['the same route', '{"routes":[', '{"pool":"default"},', 9_999, '{"pool":"default"}]}'],
])('JSON, as many as are read, %s', (_what, prefix, part, count, end) => {
  expect(costMs(prefix + part.repeat(count) + end, 'c.json')).toBeLessThan(500);
});

function url(index: number): string {
  return `http://10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:8080`;
}

test.each([
  ['30,000 URLs', 30_000, url],
  ['20,000 URLs with weights', 20_000, (index: number) => ({ url: url(index), weight: 1 })],
])('%s in JSON are no more than half a second', (_what, count, backend) => {
  const text = JSON.stringify({ backends: Array.from({ length: count }, (_, at) => backend(at)) });
  expect(loadText(text, { name: 'c.json' }).ok).toBe(true);
  expect(costMs(text, 'c.json')).toBeLessThan(500);
});
