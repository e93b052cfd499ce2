/** Which requests have a line in the access log, and what stands in it: keys of the schema in schema.ts. */
import { z } from 'zod';
import { LOG_FIELDS, type LogField } from '../../snapshot/access-log-rules.ts';
import { FIELD_NAME } from '../values/field-names.ts';
import { nearestName } from '../values/nearest.ts';
import { durationOrNone, fail, oneOf, pathNotSwitch } from './schema-types.ts';

const HEADER = 'header.';
/** Stands for all of `LOG_FIELDS`. */
export const ALL_FIELDS = 'default';
const MOST_FIELDS = 100;

/** Of what stands in a query, these are secrets more often than not. In lower case. */
const SECRET_PARAMETERS = [
  'access_token',
  'api_key',
  'apikey',
  'auth',
  'client_secret',
  'id_token',
  'jwt',
  'passwd',
  'password',
  'pwd',
  'refresh_token',
  'secret',
  'sig',
  'signature',
  'token',
  'x-amz-credential',
  'x-amz-security-token',
  'x-amz-signature',
  'x-goog-credential',
  'x-goog-signature',
];

const SECRET_HEADERS = [
  'authorization',
  'cookie',
  'proxy-authorization',
  'x-amz-security-token',
  'x-api-key',
  'x-auth-token',
  'x-csrf-token',
  'x-forwarded-access-token',
  'x-xsrf-token',
];

/** RFC 5424 §6.2.1, by their numbers. */
export const FACILITIES = [
  'kern',
  'user',
  'mail',
  'daemon',
  'auth',
  'syslog',
  'lpr',
  'news',
  'uucp',
  'cron',
  'authpriv',
  'ftp',
  'ntp',
  'audit',
  'alert',
  'clock',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
] as const;

export const UNIX = 'unix:';
const UDP = 'udp://';
const SYSLOG_PORT = 514;

/** Undefined: it is no URL of a syslog server. */
export function syslogUrl(text: string): { host: string; port: number } | undefined {
  if (!text.startsWith(UDP) || !URL.canParse(text)) return undefined;
  const { hostname, port, username, password, pathname, search, hash } = new URL(text);
  if (hostname === '' || username + password + search + hash !== '') return undefined;
  if (pathname !== '' && pathname !== '/') return undefined;
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return { host, port: port === '' ? SYSLOG_PORT : Number(port) };
}

/** A file called "stdout" is not what anybody who writes that wants, nor one called "tcp://host". */
const logTarget = pathNotSwitch('write true or false')
  .refine((path) => path !== 'stdout' && path !== '-', {
    error: 'is not the path of a file',
    params: { hint: 'true is standard output' },
  })
  .refine(
    (path) =>
      path !== UNIX && (syslogUrl(path) !== undefined || !/^([a-z]+:\/\/|syslog(:|$))/i.test(path)),
    {
      error: 'is not the path of a file',
      params: { hint: 'a syslog server is udp://HOST:PORT or unix:PATH' },
    },
  );

const syslog = z.strictObject(
  {
    facility: oneOf(FACILITIES).describe('What messages are filed under.').default('local7'),
    app_name: z
      .string({ error: 'must be a text' })
      .regex(/^[!-~]{1,48}$/, { error: 'must be 1 to 48 visible ASCII characters without spaces' })
      .describe('What the program is called in messages.')
      .default('fairlead'),
  },
  { error: 'must be a mapping with facility and app_name' },
);

const SAMPLE = 'must be a number from 0 to 100';

export type ChosenField = LogField | typeof ALL_FIELDS | `${typeof HEADER}${string}`;

function isField(name: string): name is LogField | typeof ALL_FIELDS {
  return name === ALL_FIELDS || (LOG_FIELDS as readonly string[]).includes(name);
}

function logField() {
  const what = 'must be the name of a field';
  return z.string({ error: what }).transform((value, context): ChosenField => {
    if (isField(value)) return value;
    if (!value.startsWith(HEADER)) {
      const meant = nearestName(value, [...LOG_FIELDS, ALL_FIELDS]);
      const hint =
        meant === undefined
          ? `a field of the request is header.${FIELD_NAME.test(value) ? value.replaceAll('_', '-') : 'NAME'}`
          : `did you mean ${meant}?`;
      return fail(context, `${what}, not ${JSON.stringify(value)}`, hint);
    }
    const name = value.slice(HEADER.length);
    if (!FIELD_NAME.test(name)) {
      return fail(context, `must be header. and the name of a field, not ${JSON.stringify(value)}`);
    }
    return `${HEADER}${name.toLowerCase()}`;
  });
}

/** The name of the field of the request; undefined: it is one of the log. */
export function headerOf(field: string): string | undefined {
  return field.startsWith(HEADER) ? field.slice(HEADER.length) : undefined;
}

function lowerCase(what: string) {
  return z
    .string({ error: `must be ${what}` })
    .min(1, { error: 'must not be empty' })
    .transform((name) => name.toLowerCase());
}

function headerName() {
  const what = 'must be the name of a field';
  return z
    .string({ error: what })
    .regex(FIELD_NAME, { error: what })
    .transform((name) => name.toLowerCase());
}

const sampling = z.strictObject(
  {
    percent: z
      .number({ error: SAMPLE })
      .min(0, { error: SAMPLE })
      .max(100, { error: SAMPLE })
      .describe('How many of the requests that went well have a line. 0: none.')
      .default(100),
    slow: durationOrNone()
      .describe(
        'A request that took so long has a line in any case. false: those are as the others.',
      )
      .prefault('1s'),
  },
  { error: 'must be a mapping with percent and slow' },
);

const redact = z.strictObject(
  {
    query: z
      .array(lowerCase('the name of a parameter'), { error: 'must be a list of names' })
      .describe(
        'Parameters of the query, by name in any case; also as the last of `user[password]`.',
      )
      .prefault(SECRET_PARAMETERS),
    headers: z
      .array(headerName(), { error: 'must be a list of names' })
      .describe('Fields of the request, where `access_log_fields` names them.')
      .prefault(SECRET_HEADERS),
  },
  { error: 'must be a mapping with query and headers' },
);

export const accessLogKeys = {
  access_log: z
    .union([z.boolean(), logTarget], { error: 'must be true, false or the path of a file' })
    .describe(
      'true: to standard output; false: off; else the path of a file, relative to the config file; or a syslog server: ' +
        '`udp://HOST:PORT`, or `unix:PATH` of a stream socket.',
    )
    .default(true),
  access_log_syslog: syslog
    .describe(
      'How messages are marked, where `access_log` is a syslog server. They are of RFC 5424.',
    )
    .prefault({}),
  access_log_format: oneOf(['json', 'combined'])
    .describe('One JSON object per line, or the combined log format.')
    .default('json'),
  access_log_fields: z
    .array(logField(), {
      error: 'must be a list of fields, such as [time, client, path, status]',
    })
    .refine((fields) => fields.length > 0, { error: 'must not be empty' })
    .max(MOST_FIELDS, { error: `must not have more than ${MOST_FIELDS} fields` })
    .refine((fields) => new Set(fields).size === fields.length, {
      error: 'must not have a field twice',
    })
    .describe(
      'What stands in a line of JSON: names of fields, `default` for all of them, and `header.NAME` for fields of the request.',
    )
    .prefault([ALL_FIELDS]),
  access_log_sampling: sampling
    .describe(
      'Which requests have a line. Errors always have one: a status from 400 on, an answer that was cut off, more than one attempt, a call of gRPC that failed.',
    )
    .prefault({}),
  access_log_redact: redact
    .describe(
      'Whose values stand as `REDACTED` in the access log. A list takes the place of the default.',
    )
    .prefault({}),
};
