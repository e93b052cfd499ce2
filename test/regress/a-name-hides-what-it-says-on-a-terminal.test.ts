/**
 * Marks of writing from right to left, and characters without a width, came through to the terminal: in the keys of a log line, in
 * the cells of tables, and in what the commands of the admin API repeat of an answer.
 */
import { expect, test } from 'vitest';
import { AdminError } from '../../src/cli/admin/admin-client.ts';
import { table } from '../../src/cli/terminal/table.ts';
import { prettyLine, printable } from '../../src/observe/pretty-line.ts';

const HIDDEN = /[\p{Cc}\p{Cf}]/u;

test.each([
  ['\u202egpj.exe', '\\u202egpj.exe'],
  ['a\u200bb', 'a\\u200bb'],
  ['a\ufeffb', 'a\\ufeffb'],
  ['\u2066x\u2069', '\\u2066x\\u2069'],
  ['\x1b[2J', '\\u001b[2J'],
  ['\u{e0041}', '\\u{e0041}'],
  ['\ud800', '\\ud800'],
  ['für 日本 €', 'für 日本 €'],
])('%j is shown as %s', (text, shown) => {
  expect(printable(text)).toBe(shown);
});

test('nowhere does such a name reach the terminal', () => {
  const name = 'web\u202e\x1b[2J\u200b';
  const line = prettyLine(JSON.stringify({ msg: 'x', [name]: 1, pool: name }), false);
  expect(line.trimEnd()).not.toMatch(HIDDEN);
  const shown = table(
    [
      ['ID', 'BACKEND'],
      ['1', name],
    ],
    new Set([0]),
  ).split('\n');
  for (const row of shown) expect(row).not.toMatch(HIDDEN);
  const { message } = new AdminError(`there is no ${name}\nbeneath it`, 1, 404);
  expect(message.split('\n')).toHaveLength(2);
  for (const row of message.split('\n')) expect(row).not.toMatch(HIDDEN);
});
