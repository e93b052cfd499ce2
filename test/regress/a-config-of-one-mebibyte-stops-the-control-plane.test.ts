/**
 * `POST /config:validate` with 600 KB of aliases kept the control plane busy for ten minutes, and 1 MiB of brackets,
 * commas or slips for 5 to 20 s: the parser can't be interrupted, so what it gets is bounded before it runs.
 */
import { expect, test } from 'vitest';
import { loadText } from '../config/load-text.ts';

const LARGEST = 1024 * 1024;
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

function fill(prefix: string, part: string, length: number): string {
  return prefix + part.repeat(Math.floor((length - prefix.length) / part.length));
}

const SHAPES: readonly (readonly [what: string, prefix: string, part: string, marks: number])[] = [
  ['aliases', '- &a x\n', '- *a\n', 3],
  ['aliases of nothing', '', '- *b\n', 3],
  ['merge keys', 'a: &a {x: 1}\nb:\n', ' - <<: *a\n', 4],
  ['empty lists, one below the other', '', '[]\n', 3],
  ['empty lists in a line', '', '[]', 2],
  ['closing brackets', '', ']', 1],
  ['commas in a list', 'a: [', ',', 1],
  ['keys without a name', '', ':\n', 2],
  ['tags', '', '! ', 1],
  ['anchors', '', '&a ', 1],
  ['quotes', '', '"', 1],
  ['bad escapes', 'a: "', '\\q', 1],
  ['open quotes', '', 'a: "\n', 3],
  ['slips at every line', '', 'a\n:\n', 3],
  ['block headers with too much', '', 'a: |x\n', 3],
  ['directives', '', '%x\n', 2],
  ['documents', '', '--- a\n', 2],
  ['wrong backends', 'backends:\n', '- {url: x, wieght: 1}\n', 7],
  ['the same backend', 'backends:\n', '- http://a\n', 2],
];

test.each(SHAPES)('%s: 1 MiB, and as many as are parsed', (_what, prefix, part, marks) => {
  expect(costMs(fill(prefix, part, LARGEST), 'c.yaml')).toBeLessThan(500);
  expect(costMs(prefix + part.repeat(Math.floor(PASSES / marks) - 10), 'c.yaml')).toBeLessThan(500);
});

test.each([
  ['numbers', '{"a":[', '1,', '1]}'],
  ['wrong statuses', '{"retries":{"on_status":[', '1,', '1]}}'],
  ['wrong backends', '{"backends":[', '{"url":"x","wieght":1},', '1]}'],
  ['unset variables', '{"host":"', '${A}', '"}'],
  ['a text', '{"port":"', 'x', '"}'],
])('JSON, %s', (_what, prefix, part, end) => {
  expect(costMs(fill(prefix, part, LARGEST - end.length) + end, 'c.json')).toBeLessThan(500);
});

test('what a list of 20 KB repeats through its aliases is counted before it is resolved', () => {
  const list = `a: &a [${'x,'.repeat(9000)}]\n`;
  const result = loadText(`${list}backends: [${'*a,'.repeat(90)}]`, { name: 'c.yaml' });
  expect(result.ok ? [] : result.problems.map(({ message }) => message)).toEqual([
    'has more than 50000 values with its aliases filled in',
  ]);
});
