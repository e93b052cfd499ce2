/** The admin API: where it listens, and who may call it. Part of the schema in schema.ts. */
import { z } from 'zod';
import { adminHost, nonEmptyText, secret } from './schema-types.ts';

export const admin = z.strictObject(
  {
    host: adminHost()
      .describe('Where the admin API listens. Any address but a loopback one needs a token.')
      .prefault('127.0.0.1'),
    token: secret()
      .describe('What callers of the admin API send as a Bearer token. It is that of an operator.')
      .optional(),
    tokens_file: nonEmptyText('the path of a file')
      .describe(
        'Tokens that have a name and a role each, relative to the config file: `fairlead token new` makes them. The file is ' +
          'watched. With one, every call needs a token, even where it lists none. See [admin-api.md](admin-api.md#who-may-call).',
      )
      .optional(),
  },
  { error: 'must be a mapping with host, token and tokens_file' },
);
