/** The server that counts for all instances: the key `cluster.redis` of the schema in cluster-schema.ts. */
import { z } from 'zod';
import { passwordKeys } from './password-keys.ts';
import { fail, nonEmptyText, orFalse } from './schema-types.ts';

const MAPPING = 'must be false or a mapping, such as { url: "redis://10.0.0.5:6379" }';
const URL_OF_SERVER =
  'must be redis:// or rediss:// with a host, perhaps a port and the number of a database, and nothing behind';

const serverUrl = z.string({ error: URL_OF_SERVER }).transform((text, context): string => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^rediss?:$/.test(url.protocol) || url.hostname === '') {
    return fail(context, `${URL_OF_SERVER}, not ${JSON.stringify(text)}`);
  }
  if (url.username + url.password !== '') {
    return fail(
      context,
      'must not hold a name or a password',
      'they go into username and password',
    );
  }
  if (!/^\/?\d{0,4}$/.test(url.pathname) || url.search + url.hash !== '') {
    return fail(context, URL_OF_SERVER);
  }
  return text;
});

const pemFile = () => nonEmptyText('the path of a PEM file');

const mapping = z.strictObject(
  {
    url: serverUrl.describe(
      'Redis or Valkey, 6.0 or later, as all instances reach it; `rediss://`: over TLS. Behind `/`, the number of a database.',
    ),
    username: nonEmptyText('a name')
      .describe('Who Fairlead is there, where there are users.')
      .optional(),
    ...passwordKeys,
    prefix: z
      .string({ error: 'must be a text' })
      .regex(/^[\w:.-]{0,64}$/, {
        error: 'must be 64 letters, digits, "_", ":", "." and "-" at most',
      })
      .describe('All keys there begin with it: instances that count together have the same one.')
      .default('fairlead:'),
    tls: z
      .strictObject(
        {
          ca_file: pemFile()
            .describe(
              'The authorities that have signed its certificate (PEM), relative to the config file. Default: those that Node knows.',
            )
            .optional(),
          cert_file: pemFile().describe('The certificate that is shown to it (PEM).').optional(),
          key_file: pemFile().describe('Its private key (PEM).').optional(),
          server_name: nonEmptyText('a host name')
            .describe('The name that its certificate is for. Default: the host of the URL.')
            .optional(),
        },
        { error: 'must be a mapping, such as { ca_file: redis-ca.pem }' },
      )
      .describe('Needs `rediss://`.')
      .optional(),
  },
  { error: MAPPING },
);

export const redis = orFalse(mapping, MAPPING);
