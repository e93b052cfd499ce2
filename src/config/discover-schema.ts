/** Backends of a pool that are found, not listed: `discover`. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { parseBackendUrl, shownUrl } from './backend-url.ts';
import { duration, fail, orFalse } from './schema-types.ts';

const URL_OF_NAME = 'must be a URL with a host name, such as http://app.service:8080';

const dnsUrl = z.string({ error: URL_OF_NAME }).transform((value, context) => {
  const result = parseBackendUrl(value);
  if (!result.ok) return fail(context, `${shownUrl(value)} ${result.reason}`);
  const { address } = result;
  if (address.socketPath !== '' || isIP(address.host) !== 0) {
    return fail(context, `${URL_OF_NAME}, not ${shownUrl(value)}`);
  }
  return address;
});

export const discover = orFalse(
  z.strictObject(
    {
      dns: dnsUrl.describe(
        'The URL of a backend whose host name has many addresses: each of them is a backend of its own, with the scheme, port and path ' +
          'of this URL.',
      ),
      every: duration(1000)
        .describe(
          'How often the name is looked up. Default: when the time to live of the answer is over, after 1s at the earliest and 5m at ' +
            'the latest; 10s where none is told.',
        )
        .optional(),
    },
    { error: 'must be a mapping, such as { dns: "http://app.service:8080" }' },
  ),
  'must be false or a mapping, such as { dns: "http://app.service:8080" }',
)
  .describe(
    'Backends that are found by name, beside those in `backends`. New addresses get requests once a check has passed; those that ' +
      'are gone are drained. While the name can’t be looked up, the last answer holds.',
  )
  .prefault(false);
