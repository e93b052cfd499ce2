/** `admin: { token:geheim }`, for want of a space, is a key: it stood in the log, in the events and in what viewers are told. */
import { expect, test } from 'vitest';
import { formatProblem, withoutExcerpts } from '../../src/config/problem.ts';
import { parseBackendsFile } from '../../src/config/read/backends-file.ts';
import { loadText } from '../config/load-text.ts';

test.each([
  ['admin: { token:geheim-3f1c }', 'admin.***'],
  ['admin: { 3f1cGeheim: }', 'admin.***'],
  ['geheim-3f1c: 1', '***'],
  ['ssl: { enabled: true, "geheim/+3f1c==": 1 }', 'ssl.***'],
  // Words alone, but like no key that there is.
  ['admin: { geheimnis_der_rosen: }', 'admin.***'],
  [
    'pools: { a: { backends: [{ url: "http://a", geheim-der-nacht: 1 }] } }',
    'pools.a.backends.0.***',
  ],
  ['geheimderrosen: 1', '***'],
])('%s', (text, path) => {
  const result = loadText(text);
  if (result.ok) throw new Error('it is no config');
  const told = withoutExcerpts(result.problems);
  expect(told).toContainEqual(expect.objectContaining({ path, message: 'unknown key' }));
  expect(JSON.stringify(told)).not.toMatch(/geheim|3f1c/i);
  // Who may read the file is shown what it is about.
  expect(result.problems.map(formatProblem).join('\n')).toMatch(/(geheim|3f1c).*: unknown key/i);
});

test('two of them are two problems; what is near a key, or one elsewhere, is named', () => {
  const result = loadText('admin: { "1a2b3c": 1, "2b3c4d": 1, tokn: x, helth-check2: x, ttl: 1s }');
  if (result.ok) throw new Error('it is no config');
  const told = withoutExcerpts(result.problems).map(({ path }) => path);
  expect(told).toEqual(['admin.***', 'admin.***', 'admin.tokn', 'admin.helth-check2', 'admin.ttl']);
});

test('nor does the log say it of a file of backends', () => {
  const text = '- { url: http://10.0.0.1, geheim-der-nacht: 3 }';
  expect(parseBackendsFile(text, 'a.yaml')).toMatchObject({
    ok: false,
    fault: expect.stringMatching(/^a\.yaml:1:\d+: backends\.0\.\*\*\*: unknown key$/),
  });
});
