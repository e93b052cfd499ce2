/** `{"weight": 1, "weight": 9}` to the admin API: the last one won, and another reader of the same body had seen the first. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { backendChange } from '../../src/control/admin/bodies.ts';
import { parseObject } from '../../src/control/admin/body.ts';
import { form } from '../../src/control/admin/form.ts';

test.each(['{"weight": 1, "weight": 9}', '{"weight": 1, "\\u0077eight": 1}'])('%s', (text) => {
  expect(() => parseObject(Buffer.from(text), backendChange)).toThrow(
    expect.objectContaining({
      status: 400,
      code: 'ERR_BAD_JSON',
      message: 'The key "weight" is there more than once.',
    }),
  );
});

test('a key of an inner object is another one', () => {
  const body = Buffer.from('{"weight": {"url": 1}, "url": "\\"weight\\""}');
  expect(
    parseObject(
      body,
      form('Any', () => z.object({ weight: z.unknown(), url: z.unknown() })),
    ),
  ).toEqual({ weight: { url: 1 }, url: '"weight"' });
});
