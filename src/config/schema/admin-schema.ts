/** The admin API: where it listens, and who may call it. Part of the schema in schema.ts. */
import { z } from 'zod';
import { socketMode, unixSocket } from './listener-schema.ts';
import { adminHost, nonEmptyText, orFalse, secret, wholeNumber } from './schema-types.ts';

const rateLimit = z.strictObject(
  {
    reads: wholeNumber(1, 1_000_000)
      .describe('Calls a second that read. Ten seconds of them may come at once.')
      .default(200),
    writes: wholeNumber(1, 1_000_000)
      .describe('The same of calls that change something.')
      .default(50),
  },
  { error: 'must be a mapping, such as { reads: 200, writes: 50 }' },
);

const tls = z.strictObject(
  {
    cert_file: nonEmptyText('the path of a PEM file').describe(
      'The certificate and its chain (PEM), relative to the config file. Watched, as its key is.',
    ),
    key_file: nonEmptyText('the path of a PEM file').describe('The private key (PEM).'),
    client_ca_file: nonEmptyText('the path of a PEM file')
      .describe('Callers must show a certificate that these authorities have signed (PEM).')
      .optional(),
  },
  { error: 'must be a mapping with cert_file and key_file' },
);

const mapping = z.strictObject(
  {
    host: adminHost()
      .describe('Where the admin API listens. Any address but a loopback one needs a token.')
      .prefault('127.0.0.1'),
    unix: unixSocket
      .describe(
        'In the place of a port: the path of a unix socket, relative to the config file. Its mode says who may call; a token is ' +
          'asked for where there are any. One that is left behind by a process that is gone is replaced.',
      )
      .optional(),
    mode: socketMode
      .describe('With `unix`: who may connect, as for chmod, in quotes. Default: `"0600"`.')
      .optional(),
    tls: tls.describe('Speak TLS.').optional(),
    token: secret()
      .describe('What callers of the admin API send as a Bearer token. It is that of an operator.')
      .optional(),
    tokens_file: nonEmptyText('the path of a file')
      .describe(
        'Tokens that have a name and a role each, relative to the config file: `fairlead token new` makes them. The file is ' +
          'watched. With one, every call needs a token, even where it lists none. See [admin-api.md](admin-api.md#who-may-call).',
      )
      .optional(),
    rate_limit: orFalse(rateLimit, 'must be false or a mapping, such as { reads: 200, writes: 50 }')
      .describe(
        'How many calls one caller may make, who is known by the token or else by the address; more get 429. Probes are not counted.',
      )
      .prefault({}),
  },
  { error: 'must be false, or a mapping with host and token' },
);

export const admin = orFalse(mapping, 'must be false, or a mapping with host and token');
