/** What a route matches, and where it leads. Part of the schema in schema.ts; compared with the others in compile-routes.ts. */
import { domainToASCII } from 'node:url';
import { z } from 'zod';
import type { FieldMatch, TextMatch } from '../../snapshot/route.ts';
import { readRoutePath } from '../../snapshot/route-path.ts';
import { FIELD_NAME, FIELD_TEXT, FORWARDED_TWIN, ONE_HOP } from '../values/field-names.ts';
import { isHostName, parseRouteHost } from '../values/network-address.ts';
import { corsKeys } from './cors-schema.ts';
import { rewritingKeys } from './rewriting-schema.ts';
import { accessKeys, answerKeys, pageKeys } from './route-answer-schema.ts';
import { routePolicies } from './route-policy-schema.ts';
import { routeTargets } from './route-target-schema.ts';
import { fail } from './schema-types.ts';

function host() {
  const what =
    'must be a host name, "*." and a host name for all below it, or an IP address, without a port';
  return z.string({ error: what }).transform((value, context): string => {
    const hint = value === '*' ? 'any host is matched without this key' : inAscii(value);
    return parseRouteHost(value) ?? fail(context, `${what}, not ${JSON.stringify(value)}`, hint);
  });
}

/** A name as requests carry it (RFC 5890 §2.3.2.1): the hint for one in other letters. */
function inAscii(name: string): string | undefined {
  const ascii = domainToASCII(name.replace(/^\*\./, ''));
  if (/^[\0-\x7f]*$/.test(name) || !isHostName(ascii)) return undefined;
  return `write ${name.startsWith('*.') ? '*.' : ''}${ascii}`;
}

/** RFC 9110 §9.1: a token, and letter case counts. */
function method() {
  const what = 'must be a method, such as GET';
  return z.string({ error: what }).transform((value, context): string => {
    if (!FIELD_NAME.test(value)) {
      return fail(context, `${what}, not ${JSON.stringify(value)}`);
    }
    const hint = `write ${value.toUpperCase()}`;
    return /^[a-z]+$/.test(value) ? fail(context, 'must be in capitals', hint) : value;
  });
}

/** Whatever is compared with all of them is done soon. */
const MOST_IN_LIST = 1000;

/** One, or a list of them, none of them twice. */
function oneOrMore(item: z.ZodType<string, string>, error: string) {
  const list = z.array(item).superRefine((values, context) => {
    if (values.length === 0) context.addIssue({ code: 'custom', message: 'must not be empty' });
    if (values.length > MOST_IN_LIST) {
      context.addIssue({ code: 'custom', message: `must not have more than ${MOST_IN_LIST}` });
    }
    const known = new Set<string>();
    for (const [index, value] of values.entries()) {
      if (known.has(value)) {
        context.addIssue({
          code: 'custom',
          path: [index],
          message: `${value} stands here twice`,
        });
      }
      known.add(value);
    }
  });
  return z.union([item.transform((value) => [value]), list], { error });
}

const path = z.string({ error: 'must be a path, such as /v1/' }).transform((value, context) => {
  const result = readRoutePath(value);
  return typeof result === 'string' ? fail(context, result) : result;
});

/** A field is compared as it is received: of ASCII, without the spaces around it (RFC 9110 §5.5). */
const HEADER_TEXT = {
  isPossible: (text: string, isStart: boolean, isEnd: boolean) =>
    FIELD_TEXT.test(text) && !(isStart && text.startsWith(' ')) && !(isEnd && text.endsWith(' ')),
  error: 'must be ASCII without spaces at its ends: no header field has anything else',
};

/** Halves of a surrogate pair stand for no character, so no query has them. */
const QUERY_TEXT = {
  isPossible: (text: string) => !/\p{Cs}/u.test(text),
  error: 'must be a text of whole characters',
};

type Texts = typeof HEADER_TEXT | typeof QUERY_TEXT;

const PRESENT: TextMatch = { kind: 'present' };

/** `true` is any value; a text is exactly that value. */
function matchOf(texts: Texts) {
  const text = (isStart: boolean, isEnd: boolean) =>
    z
      .string({ error: 'must be a text' })
      .refine((one) => texts.isPossible(one, isStart, isEnd), { error: texts.error });
  const parts = z
    .strictObject({
      prefix: text(true, false).describe('What it begins with.').optional(),
      suffix: text(false, true).describe('What it ends with.').optional(),
      contains: text(false, false).describe('What is somewhere in it.').optional(),
    })
    .transform((one, context): TextMatch => {
      if (Object.keys(one).length === 0)
        return fail(context, 'must have prefix, suffix or contains');
      const { prefix = '', suffix = '', contains = '' } = one;
      const isAny = prefix === '' && suffix === '' && contains === '';
      return isAny ? PRESENT : { kind: 'parts', prefix, suffix, contains };
    });
  return z.union(
    [
      z.literal(true).transform(() => PRESENT),
      text(true, true).transform((exact): TextMatch => ({ kind: 'exact', text: exact })),
      parts,
    ],
    { error: 'must be true for any, a text (in quotes), or { prefix, suffix, contains }' },
  );
}

const headerName = z.string().regex(FIELD_NAME, {
  error: 'must be the name of a header field, such as X-Beta',
});
const parameterName = z.string().min(1, { error: 'must be the name of a query parameter' });

const headers = z
  .record(headerName, matchOf(HEADER_TEXT), {
    error: 'must be a mapping of header fields, such as { x-beta: true }',
  })
  .transform((fields, context): FieldMatch[] => {
    const matches = new Map<string, FieldMatch>();
    for (const [written, match] of Object.entries(fields)) {
      const name = written.toLowerCase();
      const report = (message: string): void => {
        context.issues.push({ code: 'custom', path: [written], message, input: match });
      };
      if (name === 'host') report('is matched by "host"');
      if (ONE_HOP.has(name)) report('is for one hop only and never forwarded: no route goes by it');
      if (FORWARDED_TWIN.test(name)) report('is never forwarded: write it with "-" for "_"');
      if (matches.has(name)) report('stands here twice: the case of its letters does not count');
      matches.set(name, { name, value: match });
    }
    return [...matches.values()];
  });

const query = z
  .record(parameterName, matchOf(QUERY_TEXT), {
    error: 'must be a mapping of query parameters, such as { preview: true }',
  })
  .transform((parameters): FieldMatch[] =>
    Object.entries(parameters).map(([name, match]) => ({ name, value: match })),
  );

export const route = z.strictObject(
  {
    host: oneOrMore(host(), 'must be a host, such as api.example.com, or a list of them')
      .describe(
        'The host that is asked for, or a list: a name, `*.` and a name for all names below it, or an IP address. Letter ' +
          'case, the port and a dot at the end do not count. Default: any.',
      )
      .optional(),
    path: path
      .describe(
        'A path and all below it: `/v1` is also for `/v1/users`, not for `/v1x`. `=/v1` is for this path only. A `:name` ' +
          'stands for any one segment: `/users/:id/photos`. A `*` is a character like any other. It makes no difference whether a ' +
          'character is written with a percent sign (`%40`, `@`), but for `/`, `?`, `#`, `%`, `;` and the backslash.',
      )
      .prefault('/'),
    method: oneOrMore(method(), 'must be a method, such as GET, or a list of them')
      .describe('The method, or a list. GET does not stand for HEAD. Default: any.')
      .optional(),
    headers: headers
      .describe(
        'Header fields that a request must have: a name, and `true` for any value, a text for exactly that one, or a ' +
          'mapping of `prefix`, `suffix` and `contains`. They count as the backend gets them: `X-Forwarded-…`, `X-Real-IP` and ' +
          '`Forwarded` from `trusted_proxies` only, those that `Connection` names not at all, and of `Upgrade` the protocols ' +
          'that may be had.',
      )
      .prefault({}),
    query: query.describe('Query parameters that it must have, in the same way.').prefault({}),
    pool: z
      .string({ error: 'must be the name of a pool' })
      .describe('The pool that its requests go to.')
      .optional(),
    ...routeTargets,
    ...routePolicies,
    ...answerKeys,
    ...rewritingKeys,
    ...accessKeys,
    ...pageKeys,
    ...corsKeys,
  },
  { error: 'must be a mapping, such as { path: /v1/, pool: api }' },
);
