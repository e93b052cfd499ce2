/** What a route answers itself, and who may ask there. Part of the schema in route-schema.ts; compiled in compile-route-action.ts. */
import { z } from 'zod';
import type { PasswordHash } from '../../snapshot/route-answer.ts';
import { FIELD_NAME, FIELD_TEXT, ONE_HOP } from '../values/field-names.ts';
import { parsePasswordHash } from '../values/password-hash.ts';
import { errorPages } from './error-page-schema.ts';
import { addressBlock, duration, fail, trueOrFalse, wholeNumber } from './schema-types.ts';
import { redirectTemplate } from './template-schema.ts';

/** Of a body, in UTF-8. What is larger is better served by a web server. */
const MOST_BODY_BYTES = 64 * 1024;

/** They follow from the answer and the connection: Fairlead writes them. */
const FRAMING: ReadonlySet<string> = new Set([
  ...ONE_HOP,
  'content-length',
  'date',
  'trailer',
  'upgrade',
]);

const headerValue = z
  .string({ error: 'must be a text (in quotes), or a list of them' })
  .regex(FIELD_TEXT, { error: 'must be ASCII without control characters' })
  .refine((text) => text.trim() === text, { error: 'must not have spaces at its ends' });

const headers = z
  .record(
    z.string().regex(FIELD_NAME, {
      error: 'must be the name of a header field, such as Content-Type',
    }),
    z.union([headerValue.transform((value) => [value]), z.array(headerValue)], {
      error: 'must be a text (in quotes), or a list of them',
    }),
    { error: 'must be a mapping of header fields, such as { content-type: text/html }' },
  )
  .transform((fields, context): [string, string][] =>
    Object.entries(fields).flatMap(([name, values]) => {
      if (FRAMING.has(name.toLowerCase())) {
        const message = 'is written by Fairlead itself';
        context.issues.push({ code: 'custom', path: [name], message, input: values });
      }
      return values.map((value): [string, string] => [name, value]);
    }),
  );

const respond = z.strictObject(
  {
    status: wholeNumber(200, 599).describe('The status.').default(200),
    body: z
      .string({ error: 'must be a text' })
      .refine((text) => Buffer.byteLength(text) <= MOST_BODY_BYTES, {
        error: `must not have more than ${MOST_BODY_BYTES} bytes`,
      })
      .describe('What is sent, in UTF-8, at most 64KiB.')
      .default(''),
    headers: headers
      .describe(
        'Header fields: a name, and a text or a list of them. Without `content-type`, a body is `text/plain; charset=utf-8`.',
      )
      .prefault({}),
  },
  { error: 'must be a mapping, such as { status: 200, body: "ok" }' },
);

const redirect = z.strictObject(
  {
    to: redirectTemplate().describe(
      'A path, or a URL with `http` or `https`, with [variables](#variables). The query stays, unless there is a `?` in it.',
    ),
    status: z
      .literal([301, 302, 303, 307, 308], { error: 'must be 301, 302, 303, 307 or 308' })
      .describe(
        '301 and 308 are for good, and browsers remember them; 307 and 308 keep the method of the request.',
      )
      .default(302),
  },
  { error: 'must be a mapping, such as { to: "/new/${path.rest}", status: 308 }' },
);

const RETRY_AFTER = '1m';

const maintenance = z.union(
  [
    trueOrFalse(),
    z.strictObject({
      retry_after: duration(1000)
        .describe('What Retry-After says, in whole seconds.')
        .prefault(RETRY_AFTER),
    }),
  ],
  { error: 'must be true, false, or { retry_after: 5m }' },
);

/** Each is looked at when the config is read, and kept by every data thread. */
const MOST_BLOCKS = 10_000;

function blocks() {
  return z
    .array(addressBlock(), { error: 'must be a list of IP addresses and CIDR blocks' })
    .refine((list) => list.length <= MOST_BLOCKS, {
      error: `must not have more than ${MOST_BLOCKS}`,
    });
}

/** Of `maintenance: true`. */
export const DEFAULT_RETRY_AFTER_MS = 60_000;

export const answerKeys = {
  redirect: redirect.describe('Where its clients are sent, in place of a pool.').optional(),
  respond: respond.describe('What its requests are answered with, in place of a pool.').optional(),
  maintenance: maintenance
    .describe(
      'true, or a mapping: its requests are answered 503 with `Retry-After`, whatever else stands here. A page for people is the ' +
        '`error_pages` of 503. false: nothing.',
    )
    .prefault(false),
};

const MOST_USERS = 1000;

const password = z
  .string({ error: 'must be a hash, as "fairlead hash-password" makes it' })
  .meta({ writeOnly: true })
  .transform((text, context): PasswordHash => {
    const result = parsePasswordHash(text);
    return result.ok ? result.hash : fail(context, result.reason);
  });

const basicAuth = z.strictObject(
  {
    realm: z
      .string({ error: 'must be a text' })
      .regex(/^[ -~]{1,100}$/, { error: 'must be 1 to 100 visible ASCII characters' })
      .describe('What browsers may show beside the question for the password.')
      .default('Restricted'),
    users: z
      .record(
        // RFC 7617 §2: no colon, no control characters.
        z.string().regex(/^[^:\p{Cc}]{1,255}$/u, {
          error: 'must be the name of a user: 1 to 255 characters, without colons',
        }),
        password,
        { error: 'must be a mapping of names to hashes' },
      )
      .refine((users) => Object.keys(users).length > 0, { error: 'must not be empty' })
      .refine((users) => Object.keys(users).length <= MOST_USERS, {
        error: `must not have more than ${MOST_USERS}`,
      })
      .describe(
        'Names, and hashes of their passwords: `fairlead hash-password` makes them (scrypt, `$scrypt$ln=…,r=…,p=…$…$…`).',
      ),
    forward_authorization: trueOrFalse()
      .describe('The backend gets the `Authorization` field, too.')
      .default(false),
  },
  { error: 'must be a mapping, such as { users: { alice: "$scrypt$…" } }' },
);

export const accessKeys = {
  allow: blocks()
    .refine((list) => list.length > 0, {
      error: 'must not be empty: nobody could ask',
    })
    .describe(
      'IP addresses and CIDR blocks: only clients of these may ask, all others are answered 403. By the address of the client, ' +
        'which behind `trusted_proxies` is the one that they say. Default: all.',
    )
    .optional(),
  deny: blocks().describe('Clients of these may not, though they are in `allow`.').prefault([]),
  basic_auth: basicAuth
    .describe(
      'Only who gives the name and the password of a user (HTTP Basic, RFC 7617) may ask, all others are answered 401. Use it with ' +
        'TLS alone: the password comes with every request.',
    )
    .optional(),
};

export const pageKeys = {
  error_pages: errorPages()
    .describe(
      'As [error_pages](#error_pages), for the requests of this route; what is not here is as there.',
    )
    .prefault({}),
};
