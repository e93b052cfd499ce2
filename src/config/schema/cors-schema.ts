/** Which pages of other origins may ask, in the words of a config. Part of the schema in route-schema.ts; see compile-cors.ts. */
import { z } from 'zod';
import { FIELD_NAME } from '../values/field-names.ts';
import { durationOrNone, fail, trueOrFalse } from './schema-types.ts';

const ANY = '*';
const ORIGIN = 'must be an origin, such as https://app.example.com or https://*.example.com';
/** As browsers write it (RFC 6454 §6.2): in lower case, without a path. */
const PARTS = /^([a-z][a-z0-9+.-]*):\/\/(\*\.)?([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/;
const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: '80', https: '443' };
const MOST = 100;

const origin = z.string({ error: ORIGIN }).transform((text, context): string => {
  if (text === ANY) return text;
  const parts = PARTS.exec(text);
  if (parts !== null) {
    const [, scheme = '', , , port] = parts;
    if (port === undefined || port !== DEFAULT_PORTS[scheme]) return text;
    return fail(context, `names the port that ${scheme} has anyway: browsers leave it out`);
  }
  const simple = text.toLowerCase().replace(/\/$/, '');
  const hint = PARTS.test(simple) ? `write ${simple}` : undefined;
  return fail(context, `${ORIGIN}, not ${JSON.stringify(text)}`, hint);
});

function listOf(item: z.ZodType<string, string>, error: string) {
  return z.array(item, { error }).superRefine((values, context) => {
    const report = (path: number[], message: string): void => {
      context.addIssue({ code: 'custom', path, message });
    };
    if (values.length > MOST) report([], `must not have more than ${MOST}`);
    for (const [index, value] of values.entries()) {
      if (values.indexOf(value) !== index) report([index], `${value} stands here twice`);
      if (value === ANY && values.length > 1) report([index], '"*" is all of them: alone');
    }
  });
}

const NAME = 'must be the name of a header field, such as Content-Type, or "*" for any';
const names = () =>
  listOf(
    z.string({ error: NAME }).regex(FIELD_NAME, { error: NAME }),
    'must be a list of names of header fields, or ["*"] for any',
  );

const METHOD = 'must be a method in capitals, such as GET';
const methods = listOf(
  z.string({ error: METHOD }).regex(/^[A-Z][A-Z0-9_-]*$/, { error: METHOD }),
  'must be a list of methods, such as [GET, POST]',
);

export const corsKeys = {
  cors: z
    .strictObject(
      {
        origins: listOf(origin, 'must be a list of origins, or ["*"] for any')
          .refine((list) => list.length > 0, { error: 'must name an origin, or be ["*"]' })
          .describe(
            'The origins whose pages may ask: a scheme and a host, with a port where it is not the usual one; `https://*.example.com` ' +
              'for all names below one, and `"*"` alone for any.',
          )
          .optional(),
        methods: methods
          .describe(
            'The methods that they may use; GET, HEAD and POST are always allowed by browsers.',
          )
          .prefault(['GET', 'HEAD', 'POST']),
        headers: names()
          .describe(
            'The header fields that they may send, beside those that any page may (`Accept`, `Content-Type` of a form, …). `"*"` alone: any.',
          )
          .prefault([]),
        exposed: names()
          .describe('The header fields of answers that they may read. `"*"` alone: any.')
          .prefault([]),
        credentials: trueOrFalse()
          .describe('Browsers send cookies and the like along. Only where `origins` names origins.')
          .default(false),
        max_age: durationOrNone()
          .describe(
            'How long browsers may go by the answer to a preflight. false: it is not said, and most take 5s.',
          )
          .prefault('10m'),
      },
      { error: 'must be a mapping, such as { origins: [https://app.example.com] }' },
    )
    .describe(
      'Which pages of other origins may ask (CORS). Preflights are answered here, before a login is asked for and without a ' +
        'backend; in all other answers these fields take the place of those of the backend.',
    )
    .optional(),
} as const;
