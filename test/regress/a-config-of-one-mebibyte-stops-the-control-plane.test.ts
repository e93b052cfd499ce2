/**
 * `POST /config:validate` with 600 KB of aliases kept the control plane busy for ten minutes, and 1 MiB of brackets,
 * commas or slips for 5 to 20 s: the parser can't be interrupted, so what it gets is bounded before it runs.
 */
import { expect, test } from 'vitest';
import { fill, fillJson, JSON_SHAPES, YAML_SHAPES } from '../config/costly-texts.ts';
import { loadText } from '../config/load-text.ts';
import { leastCostMs } from '../support/machine-speed.ts';

/** What the parser may be given: a little under its bound of 20,000 lines, keys and values. */
const PASSES = 19_900;

/** What a text may cost, on a machine as those were: three times what the dearest of them does, a fifth of what the bug did. */
const MOST_MS = 1_000;

function costMs(text: string, name: string): number {
  return leastCostMs(() => void loadText(text, { name }), MOST_MS);
}

test.each(YAML_SHAPES)('%s: 1 MiB, and as many as are parsed', (_what, prefix, part, marks) => {
  expect(costMs(fill(prefix, part), 'c.yaml')).toBeLessThan(MOST_MS);
  expect(costMs(prefix + part.repeat(Math.floor(PASSES / marks) - 10), 'c.yaml')).toBeLessThan(
    MOST_MS,
  );
});

test.each(JSON_SHAPES)('JSON, %s', (_what, prefix, part, end) => {
  expect(costMs(fillJson(prefix, part, end), 'c.json')).toBeLessThan(MOST_MS);
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
  expect(costMs(prefix + part.repeat(count) + end, 'c.json')).toBeLessThan(MOST_MS);
});

function url(index: number): string {
  return `http://10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:8080`;
}

test.each([
  ['30,000 URLs', 30_000, url],
  ['20,000 URLs with weights', 20_000, (index: number) => ({ url: url(index), weight: 1 })],
])('%s in JSON are read at once', (_what, count, backend) => {
  const text = JSON.stringify({ backends: Array.from({ length: count }, (_, at) => backend(at)) });
  expect(loadText(text, { name: 'c.json' }).ok).toBe(true);
  expect(costMs(text, 'c.json')).toBeLessThan(MOST_MS);
});
