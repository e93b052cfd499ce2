/** A slip in the indentation got up to four messages in the words of a parser: now it is one, where the slip is. */
import { expect, test } from 'vitest';
import { problemsOf } from './load-text.ts';

test.each([
  ['port: 1\n  strategy: x\n', '2:3', 'deeper than the line above', '0 spaces'],
  ['timeouts:\n  head: 1s\n    connect: 2s\n', '3:5', 'deeper than the line above', '2 spaces'],
  [
    'backends:\n  - url: http://a\n     weight: 3\n',
    '3:6',
    'deeper than the line above',
    '4 spaces',
  ],
  ['backends:\n  - url: http://a\n   weight: 3\n', '3:4', 'as nothing above it is', '0 or 2 or 4'],
  ['timeouts:\n    head: 1s\n  connect: 2s\nport: 1\n', '3:3', 'as nothing above it is', '0 or 4'],
  ['backends:\n  - http://a\n - http://b\n', '3:2', 'as nothing above it is', '0 or 2'],
  ['backends:\n  - http://a\n    - http://b\n', '3:5', 'deeper than the list item above', 'alike'],
  [' port: 1\nstrategy: x\n', '2:1', 'as nothing above it is', '1 space fits'],
  ['backends:\n  - http://a\n  port: 3\n', '3:3', 'at the same place', 'behind its'],
  ['timeouts:\n\thead: 1s\n', '2:1', 'a tab', 'spaces'],
  ['port:8080\nbackends: []\n', '1:1', 'is no "key: value"', 'a colon and a space'],
  ['host: a: b\n', '1:7', 'in quotes', ''],
  [
    'ssl: { enabled: false\nport: 1\n',
    '2:1',
    'begins with { above is not closed',
    'it ends with }',
  ],
  ['trusted_proxies: [::1\nport: 1\n', '2:1', 'begins with [ above is not closed', 'with ]'],
])('%j', (text, place, message, hint) => {
  const problems = problemsOf(text);
  expect(problems).toHaveLength(1);
  const [first = '', line, caret] = (problems[0] as string).split('\n');
  expect(first).toMatch(new RegExp(`^c\\.yaml:${place}: `));
  expect(first).toContain(message);
  expect(first).toContain(hint);
  // The caret stands beneath the place in the line.
  const [row, column] = place.split(':').map(Number) as [number, number];
  expect(line).toBe(`  ${(text.split('\n')[row - 1] as string).replace('\t', ' ')}`);
  expect(caret).toBe(`  ${' '.repeat(column - 1)}^`);
});

test('of a long line only what is around the place is shown', () => {
  const [problem = ''] = problemsOf(`host: ${'a'.repeat(5000)}: b\n`);
  for (const line of problem.split('\n').slice(1)) expect(line.length).toBeLessThan(110);
});
