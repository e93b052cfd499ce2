/**
 * `POST /explain`, which viewers may call, with a mebibyte of nested arrays kept the control thread busy for a second; so did one of
 * empty texts, and any other call that takes JSON.
 */
import { expect, test } from 'vitest';
import { MOST_QUESTION_BYTES, readQuestion } from '../../src/control/admin/explain-question.ts';
import { MOST_JSON_BYTES } from '../../src/control/admin/form.ts';
import { excessOf } from '../../src/control/admin/json-bounds.ts';

const MEBIBYTE = 1024 * 1024;

const filled = (before: string, piece: string, after: string, bytes = MEBIBYTE): Buffer =>
  Buffer.from(before + piece.repeat(Math.floor(bytes / piece.length)) + after);

test.each([
  ['arrays in arrays', filled('{"host":"a","headers":', '[', '')],
  ['objects in objects', filled('{"host":"a","headers":', '{"a":', '1')],
  ['empty arrays', filled('{"host":"a","headers":{"a":[', '[],', '[]]}}')],
  ['empty texts', filled('{"host":"a","headers":{"a":[', '"",', '""]}}')],
  ['keys', filled('{"host":"a","headers":{', '"a":"",', '"b":""}}')],
])('%s are refused before they are parsed', (_what, body) => {
  expect(() => readQuestion(body)).toThrow(
    expect.objectContaining({
      status: 400,
      code: 'ERR_BAD_JSON',
      message: expect.stringMatching(/32 levels|8000 values/),
    }),
  );
});

test.each([
  ['{"a":"[[[["}', /^nothing$/],
  [`{"a":"${'\\"['.repeat(50)}"}`, /^nothing$/],
  [`{"a":"\\\\",${'"b":['.repeat(40)}`, /32 levels/],
  [`["${'\\\\'.repeat(3)}", ${'['.repeat(40)}`, /32 levels/],
  [`${'['.repeat(32)}${']'.repeat(32)}`, /^nothing$/],
  [
    `[${Array.from({ length: 100 }, () => `${'['.repeat(31)}${']'.repeat(31)}`).join()}]`,
    /^nothing$/,
  ],
  [`[${'1,'.repeat(8_001)}1]`, /8000 values/],
  [`"${','.repeat(10_000)}`, /^nothing$/],
  ['', /^nothing$/],
])('brackets count where they are no text (%#)', (json, excess) => {
  expect(excessOf(Buffer.from(json)) ?? 'nothing').toMatch(excess);
});

test('the longest question may be asked', () => {
  const body = filled('{"host":"a","path":"/', '\\u0041', '"}', MOST_QUESTION_BYTES);
  expect(readQuestion(body).target).toMatch(/^\/A+$/);
  expect(MOST_JSON_BYTES).toBeLessThan(MOST_QUESTION_BYTES);
});
