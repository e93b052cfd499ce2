/** Pages in place of Fairlead's own texts for errors. Part of the schema in schema.ts; read in error-pages.ts. */
import { z } from 'zod';
import { nonEmptyText } from './schema-types.ts';

/** Of one page, in bytes: it is sent in one piece. */
export const MOST_PAGE_BYTES = 256 * 1024;

const contentType = z
  .string({ error: 'must be a media type, such as text/html; charset=utf-8' })
  .regex(/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+( *; *[\w-]+=([\w.+-]+|"[^"\\\p{Cc}]*"))*$/u, {
    error: 'must be a media type, such as text/html; charset=utf-8',
  });

const page = z
  .strictObject({
    file: nonEmptyText('the path of a file')
      .describe('Relative to the config file; at most 256KiB.')
      .optional(),
    text: z
      .string({ error: 'must be a text' })
      .refine((text) => Buffer.byteLength(text) <= MOST_PAGE_BYTES, {
        error: `must not have more than ${MOST_PAGE_BYTES} bytes`,
      })
      .describe('In place of a file.')
      .optional(),
    content_type: contentType
      .describe('Default: by the ending of the file; of a text, `text/plain; charset=utf-8`.')
      .optional(),
  })
  .superRefine(({ file, text }, context) => {
    if ((file === undefined) === (text === undefined)) {
      context.addIssue({ code: 'custom', message: 'must have either file or text' });
    }
  });

const status = z.string().regex(/^[45](\d\d|xx)$/, {
  error: 'must be a status from 400 to 599, or 4xx or 5xx',
});

/** A file alone is a page, too. */
export function errorPages() {
  const file = nonEmptyText('the path of a file').transform((path) => ({
    file: path,
    text: undefined,
    content_type: undefined,
  }));
  return z.record(
    status,
    z.union([file, page], { error: 'must be a file, or { file } or { text }' }),
    {
      error: 'must be a mapping of statuses to pages, such as { 503: sorry.html }',
    },
  );
}

export type WrittenPages = z.output<ReturnType<typeof errorPages>>;
