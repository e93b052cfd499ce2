/** Traces for OpenTelemetry: the key `tracing` of the schema in schema.ts. */
import { z } from 'zod';
import { FIELD_NAME } from '../values/field-names.ts';
import { fail, nonEmptyText, orFalse } from './schema-types.ts';

const ENDPOINT = 'must be a URL that begins with http:// or https://';
const SHARE = 'must be a number from 0 to 1';
const MAPPING = 'must be false or a mapping, such as { endpoint: "http://localhost:4318" }';
const MOST_HEADERS = 32;

const endpoint = z.string({ error: ENDPOINT }).transform((text, context): string => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    return fail(context, `${ENDPOINT}, not ${JSON.stringify(text)}`);
  }
  if (url.username + url.password !== '') {
    return fail(context, 'must not hold a name or a password', 'a token goes into tracing.headers');
  }
  if (url.search + url.hash !== '') return fail(context, 'must not have a query or a fragment');
  return text;
});

const headerValue = z
  .string({ error: 'must be a text' })
  .regex(/^[!-~]([\t -~]*[!-~])?$/, {
    error: 'must be visible ASCII, with white space only in between: no line breaks',
  })
  .meta({ writeOnly: true });

const mapping = z.strictObject(
  {
    endpoint: endpoint
      .describe(
        'The collector, by OTLP over HTTP: `/v1/traces` is added unless it ends with that. Default: ' +
          '`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT`, or `http://localhost:4318`.',
      )
      .optional(),
    headers: z
      .record(
        z.string().regex(FIELD_NAME, { error: 'must be the name of a header field' }),
        headerValue,
        { error: 'must be a mapping of header fields, such as { api-key: abc }' },
      )
      .refine((fields) => Object.keys(fields).length <= MOST_HEADERS, {
        error: `must not have more than ${MOST_HEADERS} fields`,
      })
      .describe('Header fields that the collector asks for. Their values are shown to nobody.')
      .prefault({}),
    sample: z
      .number({ error: SHARE })
      .min(0, { error: SHARE })
      .max(1, { error: SHARE })
      .describe(
        'Which share of the requests that come without a trace is recorded. Of all others, who began the trace has decided it.',
      )
      .default(1),
    service_name: nonEmptyText('a text')
      .max(255, { error: 'must have 255 characters or fewer' })
      .describe('Default: `OTEL_SERVICE_NAME`, or `fairlead`.')
      .optional(),
  },
  { error: MAPPING },
);

export const tracing = orFalse(mapping, MAPPING);
