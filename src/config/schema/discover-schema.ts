/** Backends of a pool that are found, not listed: `discover`. Which of its keys go together is said in compile-discovery.ts. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { MOST_FOUND } from '../settings.ts';
import { parseBackendUrl, shownUrl } from '../values/backend-url.ts';
import { consul, docker, kubernetes } from './discover-api-schema.ts';
import { duration, fail, nonEmptyText, orFalse, wholeNumber } from './schema-types.ts';

const URL_OF_NAME = 'must be a URL with a host name, such as http://app.service:8080';
const URL_OF_SERVICE =
  'must be a URL with the name of a service in DNS, such as http://_http._tcp.app.service';

/** @param error what it must be */
function urlOfName(error: string) {
  return z.string({ error }).transform((value, context) => {
    const result = parseBackendUrl(value);
    if (!result.ok) return fail(context, `${shownUrl(value)} ${result.reason}`);
    const { address } = result;
    if (address.socketPath !== '' || isIP(address.host) !== 0) {
      return fail(context, `${error}, not ${shownUrl(value)}`);
    }
    return address;
  });
}

const srvUrl = urlOfName(URL_OF_SERVICE).transform((address, context) => {
  if (address.authority === address.host) return address;
  return fail(context, `${address.url} must not have a port: each record names one`);
});

const SUCH_AS = 'such as { dns: "http://app.service:8080" }';

export const discover = orFalse(
  z.strictObject(
    {
      dns: urlOfName(URL_OF_NAME)
        .describe(
          'The URL of a backend whose host name has many addresses: each of them is a backend of its own, with the scheme, port and path ' +
            'of this URL.',
        )
        .optional(),
      srv: srvUrl
        .describe(
          'A URL whose host name has SRV records, such as `http://_http._tcp.app.service`: each address of each target is a backend, ' +
            'with the port and the weight of its record. Those with another priority than the first one are backups.',
        )
        .optional(),
      docker,
      consul,
      kubernetes,
      file: nonEmptyText('the path of a file')
        .describe(
          'A file that lists backends, as `backends` does, in JSON or YAML; or, with another ending, a text with a URL on each line. ' +
            'It is read again when it has changed.',
        )
        .optional(),
      every: duration(1000)
        .describe(
          'With `dns` and `srv`: how often the name is looked up. Default: when the time to live of the answer is over, after 1s at the earliest and 5m at ' +
            'the latest; 10s where none is told, as with `srv`.',
        )
        .optional(),
      min_backends: wholeNumber(0, MOST_FOUND)
        .describe(
          'An answer with fewer backends is taken for a fault, so that the last good one holds. 0: an empty answer is one as well, and ' +
            'takes all backends away.',
        )
        .default(1),
    },
    { error: `must be a mapping, ${SUCH_AS}` },
  ),
  `must be false or a mapping, ${SUCH_AS}`,
)
  .describe(
    'Backends that are found, beside those in `backends`, by one of several sources. New ones get requests once a check has passed; those that ' +
      'are gone are drained. While the source fails, its last good answer holds.',
  )
  .prefault(false);
