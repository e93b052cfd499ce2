/** How the backends of a pool are checked. In the short form each key has a name of its own: `health_check_path`. */
import { z } from 'zod';
import { isHostFieldValue } from '../values/network-address.ts';
import { duration, fail, nonEmptyText, oneOf, requestPath, wholeNumber } from './schema-types.ts';

/** RFC 9110 §5.6.2. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
/** Visible ASCII, with white space only within: RFC 9110 §5.5. */
const VALUE = /^[!-~]([\t -~]*[!-~])?$/;
const MOST_HEADERS = 32;
const MOST_STATUSES = 32;
const LONGEST_VALUE = 4096;
const LONGEST_TEXT = 1024;
const LONGEST_SERVICE = 1024;

/** Who says them, and says them alone, is the check itself. */
const RESERVED: Readonly<Record<string, string>> = {
  host: 'is the key `host`, not one of the headers',
  connection: 'is said by the check itself',
  'content-length': 'would announce a body, and a check has none',
  expect: 'would announce a body, and a check has none',
  'keep-alive': 'is for one connection, which a check says all about itself',
  'proxy-connection': 'is for one connection, which a check says all about itself',
  te: 'is for one connection, which a check says all about itself',
  trailer: 'would announce a body, and a check has none',
  'transfer-encoding': 'would announce a body, and a check has none',
  upgrade: 'would ask for another protocol, and a check reads HTTP/1.1 alone',
};

const fieldName = z.string().regex(TOKEN, {
  error: 'must be the name of a header field, such as Authorization',
});

const fieldValue = z
  .string({ error: 'must be a text' })
  .max(LONGEST_VALUE, { error: `must have ${LONGEST_VALUE} characters or fewer` })
  .regex(VALUE, {
    error: 'must be visible ASCII, with white space only in between: no line breaks',
  })
  .meta({ writeOnly: true });

const headers = z
  .record(fieldName, fieldValue, {
    error: 'must be a mapping of header fields, such as { Authorization: Bearer abc }',
  })
  .superRefine((fields, context) => {
    const names = Object.keys(fields);
    const refuse = (path: string[], message: string): void => {
      context.addIssue({ code: 'custom', path, message });
    };
    if (names.length > MOST_HEADERS) refuse([], `must not have more than ${MOST_HEADERS} fields`);
    const firstWith = new Map<string, string>();
    for (const name of names) {
      const known = name.toLowerCase();
      const reason = Object.hasOwn(RESERVED, known) ? RESERVED[known] : undefined;
      if (reason !== undefined) refuse([name], `${name} ${reason}`);
      const first = firstWith.get(known);
      if (first !== undefined) refuse([name], `is the same field as ${first}`);
      else firstWith.set(known, name);
    }
  });

const STATUSES = 'must be a status or a range of them, from 200 to 599, such as 204 or 200-299';

/** Both ends are part of it. */
const statusRange = z.union(
  [
    z
      .int({ error: STATUSES })
      .min(200, { error: STATUSES })
      .max(599, { error: STATUSES })
      .transform((status) => [status, status] as const),
    z
      .string()
      .meta({ pattern: '^[2-5][0-9]{2}(-[2-5][0-9]{2})?$' })
      .transform((text, context): readonly [number, number] => {
        const parts = /^([2-5]\d\d)(?:-([2-5]\d\d))?$/.exec(text);
        if (parts === null) return fail(context, `${STATUSES}, not ${JSON.stringify(text)}`);
        const from = Number(parts[1]);
        const to = parts[2] === undefined ? from : Number(parts[2]);
        if (to < from) return fail(context, `ends before it begins: write ${to}-${from}`);
        return [from, to];
      }),
  ],
  { error: STATUSES },
);

const HOST = 'must be a host name, with or without a port';

export const healthCheck = {
  method: oneOf(['http', 'tcp', 'grpc', 'auto'])
    .describe(
      'http: GET the path; what is expected is healthy. tcp: a connection is enough (with https, a TLS handshake). grpc: ' +
        'Check of grpc.health.v1.Health over HTTP/2, whatever `protocol` is; SERVING is healthy. auto: ' +
        'http, but tcp from the first answer on that says that there is no such page (404, 401, 403, 405, 426). Default: ' +
        'auto, or http when a path, a status or a text is given.',
    )
    .optional(),
  path: requestPath()
    .describe('What http checks GET: the whole path, also of a backend that has one in its URL.')
    .prefault('/health'),
  host: z
    .string({ error: HOST })
    .transform((value, context): string =>
      isHostFieldValue(value) ? value : fail(context, `${HOST}, not ${JSON.stringify(value)}`),
    )
    .describe(
      'The Host field of http and grpc checks. Default: the host and port that are checked.',
    )
    .optional(),
  port: wholeNumber(1, 65_535)
    .describe(
      'The port that is checked, of all backends alike; one with a Unix socket has none, and is checked there. Default: the ' +
        'port of the backend.',
    )
    .optional(),
  headers: headers
    .describe(
      'Further header fields of http and grpc checks, such as `{ Authorization: Bearer abc }`; User-Agent and Accept take the place ' +
        'of those that a check has by itself.',
    )
    .prefault({}),
  expect_status: z
    .array(statusRange, { error: 'must be a list of statuses, such as [200-299, 404]' })
    .max(MOST_STATUSES, { error: `must not have more than ${MOST_STATUSES} entries` })
    .superRefine((ranges, context) => {
      if (ranges.length > 0) return;
      context.addIssue({ code: 'custom', message: 'must name at least one status' });
    })
    .describe('Statuses, and ranges of them, that are healthy.')
    .prefault(['200-299']),
  expect_body: nonEmptyText('a text')
    .max(LONGEST_TEXT, { error: `must have ${LONGEST_TEXT} characters or fewer` })
    .describe('A text that the answer must hold, within its first 64 KiB.')
    .optional(),
  service: nonEmptyText('the name of a service, such as shop.v1.Cart')
    .max(LONGEST_SERVICE, { error: `must have ${LONGEST_SERVICE} characters or fewer` })
    .describe('Which service grpc checks ask for. Default: the server as a whole.')
    .optional(),
  frequency: duration(10)
    .describe('Time between two checks of a backend that is up.')
    .prefault('30s'),
  down_frequency: duration(10)
    .describe(
      'Time between two checks of a backend that is down, new or suspect; after a minute of being down, 5s if that is ' +
        'longer. Default: 1s, or the frequency if that is shorter.',
    )
    .optional(),
  timeout: duration()
    .describe('How long a check may take. Default: 5s, or the frequency if that is shorter.')
    .optional(),
  rise: wholeNumber(1, 100)
    .describe('Passing checks in a row that make an unhealthy backend healthy.')
    .default(2),
  fall: wholeNumber(1, 100)
    .describe('Failing checks in a row that make a healthy backend unhealthy.')
    .default(3),
};
