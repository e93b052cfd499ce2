/** What a route changes of its requests and their answers. Part of the schema in route-schema.ts; see compile-rewriting.ts. */
import { z } from 'zod';
import { readRoutePath } from '../../snapshot/route-path.ts';
import type { WrittenTemplate } from '../read/template-text.ts';
import { FIELD_NAME, FORWARDED_TWIN, ONE_HOP } from '../values/field-names.ts';
import { fail } from './schema-types.ts';
import { fieldTemplate, targetTemplate } from './template-schema.ts';

const stripPrefix = z
  .string({ error: 'must be a path, such as /v1' })
  .transform((value, context) => {
    const path = readRoutePath(value);
    if (typeof path === 'string') return fail(context, path);
    if (path.kind === 'exact') return fail(context, 'must be a prefix, without "="');
    if (path.segments.length === 0) return fail(context, 'takes nothing off', 'leave it out');
    return path.segments;
  });

/** Framing, and what is between us and the next one: a field that says something else than the message would split it. */
const OF_THE_MESSAGE: ReadonlySet<string> = new Set([
  ...ONE_HOP,
  'content-length',
  'expect',
  'max-forwards',
  'trailer',
  'upgrade',
]);
const BY_FAIRLEAD = 'is written by Fairlead';

interface Refusal {
  readonly message: string;
  readonly hint?: string;
}

type RefusalOf = (name: string) => Refusal | null;

/** @param name in lower case, with `-` for `_`: some servers read both as the same. */
function refusalInRequest(name: string): Refusal | null {
  switch (name) {
    case 'host':
      return { message: 'can’t be changed here', hint: 'host_header of the pool says what it is' };
    case 'x-forwarded-for':
    case 'x-forwarded-proto':
    case 'x-forwarded-host':
    case 'x-forwarded-port':
      return {
        message: BY_FAIRLEAD,
        hint: 'x_forwarded: false leaves it out, trusted_proxies may set it',
      };
    case 'forwarded':
      return { message: BY_FAIRLEAD, hint: 'forwarded: true adds it' };
    case 'via':
      return { message: BY_FAIRLEAD, hint: 'via: false leaves it out' };
    case 'x-request-id':
      return { message: `${BY_FAIRLEAD}, or comes from the client` };
    default:
      return null;
  }
}

function refusalInResponse(name: string): Refusal | null {
  if (name === 'via') return { message: BY_FAIRLEAD, hint: 'via: false leaves it out' };
  return name === 'date' ? { message: 'is what caches go by, and every answer has one' } : null;
}

function refusalOf(written: string, ofKind: RefusalOf): Refusal | null {
  const lower = written.toLowerCase();
  const name = lower.replaceAll('_', '-');
  if (OF_THE_MESSAGE.has(name)) {
    return {
      message: 'is about the connection or the length of the message, which Fairlead sees to',
    };
  }
  const refusal = ofKind(name);
  if (refusal === null && FORWARDED_TWIN.test(lower))
    return { message: 'is never forwarded: write it with "-" for "_"' };
  return refusal;
}

const fieldName = z.string({ error: 'must be the name of a header field' }).regex(FIELD_NAME, {
  error: 'must be the name of a header field, such as X-Tenant',
});

/** Each of them may be long, and is made for every request. */
const MOST_FIELDS = 100;

function fieldRules(ofKind: RefusalOf, whose: string, example: string) {
  const values = () =>
    z.record(fieldName, fieldTemplate(), {
      error: `must be a mapping of header fields to texts, such as { ${example} }`,
    });
  return z
    .strictObject(
      {
        set: values()
          .describe(
            `Header fields of ${whose}, each in place of all of its name. One without a value is left out.`,
          )
          .prefault({}),
        add: values().describe('Header fields beside those of the same name.').prefault({}),
        remove: z
          .array(fieldName, { error: 'must be a list of names of header fields' })
          .describe('Names of header fields that are taken away.')
          .default([]),
      },
      { error: `must be a mapping, such as { set: { ${example} } }` },
    )
    .transform((rules, context) => {
      const named: [path: string[] | (string | number)[], name: string][] = [
        ...Object.keys(rules.set).map((name): [string[], string] => [['set', name], name]),
        ...Object.keys(rules.add).map((name): [string[], string] => [['add', name], name]),
        ...rules.remove.map((name, index): [(string | number)[], string] => [
          ['remove', index],
          name,
        ]),
      ];
      const known = new Set<string>();
      const report = (path: (string | number)[], { message, hint }: Refusal): void => {
        const params = hint === undefined ? {} : { params: { hint } };
        context.issues.push({ code: 'custom', path, message, input: rules, ...params });
      };
      if (named.length > MOST_FIELDS) {
        report([], { message: `must not name more than ${MOST_FIELDS} header fields` });
      }
      for (const [path, name] of named) {
        const refusal = refusalOf(name, ofKind);
        if (refusal !== null) report(path, { ...refusal, message: `${name} ${refusal.message}` });
        const key = name.toLowerCase();
        if (known.has(key)) {
          report(path, {
            message: `${name} stands here twice`,
            hint: '"set" takes the others away',
          });
        }
        known.add(key);
      }
      return {
        set: Object.entries(rules.set).map(([name, value]) => ({ name, value })),
        add: Object.entries(rules.add).map(([name, value]) => ({ name, value })),
        remove: rules.remove,
      };
    });
}

export interface WrittenFieldRules {
  readonly set: readonly { readonly name: string; readonly value: WrittenTemplate }[];
  readonly add: readonly { readonly name: string; readonly value: WrittenTemplate }[];
  readonly remove: readonly string[];
}

export const rewritingKeys = {
  strip_prefix: stripPrefix
    .describe(
      'A path that is taken off the front of the one that is forwarded: the `path` of the route must begin with it. ' +
        'The backend is told of it in `X-Forwarded-Prefix`.',
    )
    .optional(),
  rewrite: targetTemplate()
    .describe(
      'The path that is forwarded in place of the one that was asked for, with [variables](#variables). The query stays, unless ' +
        'there is a `?` in it.',
    )
    .optional(),
  request_headers: fieldRules(
    refusalInRequest,
    'the request, as the backend gets it',
    'x-tenant: "${host.label(1)}"',
  )
    .describe('Header fields that the backend gets otherwise than they came.')
    .optional(),
  response_headers: fieldRules(
    refusalInResponse,
    'the answer, as the client gets it',
    'strict-transport-security: max-age=63072000',
  )
    .describe(
      'Header fields that the client gets otherwise than the backend has sent them. Answers of Fairlead get those that they ' +
        'do not have of their own.',
    )
    .optional(),
};
