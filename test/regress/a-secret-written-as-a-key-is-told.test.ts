/** `admin: { token:geheim }`, for want of a space, is a key: it stood in the log, in the events and in what viewers are told. */
import { expect, test } from 'vitest';
import { formatProblem, withoutExcerpts } from '../../src/config/problem.ts';
import { loadText } from '../config/load-text.ts';

test.each([
  ['admin: { token:geheim-3f1c }', 'admin.***'],
  ['admin: { 3f1cGeheim: }', 'admin.***'],
  ['geheim-3f1c: 1', '***'],
  ['ssl: { enabled: true, "geheim/+3f1c==": 1 }', 'ssl.***'],
])('%s', (text, path) => {
  const result = loadText(text);
  if (result.ok) throw new Error('it is no config');
  const told = withoutExcerpts(result.problems);
  expect(told).toContainEqual(expect.objectContaining({ path, message: 'unknown key' }));
  expect(JSON.stringify(told)).not.toMatch(/geheim|3f1c/i);
  // Who may read the file is shown what it is about.
  expect(result.problems.map(formatProblem).join('\n')).toMatch(/unknown key\n".*3f1c/i);
});

test('two of them are two problems, and a typing error is named', () => {
  const result = loadText('admin: { "1a2b3c": 1, "2b3c4d": 1, tokn: x, helth-check2: x }');
  if (result.ok) throw new Error('it is no config');
  const told = withoutExcerpts(result.problems).map(({ path }) => path);
  expect(told).toEqual(['admin.***', 'admin.***', 'admin.tokn', 'admin.helth-check2']);
});
