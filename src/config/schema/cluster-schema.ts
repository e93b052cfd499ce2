/** What several instances have in common: the key `cluster` of the schema in schema.ts. */
import { z } from 'zod';
import { passwordKeys } from './password-keys.ts';
import { redis } from './redis-schema.ts';
import { fail, nonEmptyText, orFalse, secret, wholeNumber } from './schema-types.ts';

const MOST_INSTANCES = 1000;
const MOST_ENDPOINTS = 16;
const URL_OF_SERVER = 'must be http:// or https:// with a host and a port, and nothing behind';
const MAPPING = 'must be false or a mapping, such as { instances: 3 }';

const serverUrl = z.string({ error: URL_OF_SERVER }).transform((text, context): string => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.pathname !== '/') {
    return fail(context, `${URL_OF_SERVER}, not ${JSON.stringify(text)}`);
  }
  if (url.username + url.password !== '')
    return fail(context, 'must not hold a name or a password');
  if (url.search + url.hash !== '') return fail(context, URL_OF_SERVER);
  return url.origin;
});

const tls = z.strictObject(
  {
    ca_file: nonEmptyText('the path of a PEM file')
      .describe(
        'The authorities that have signed the certificates of etcd (PEM), relative to the config file.',
      )
      .optional(),
    cert_file: nonEmptyText('the path of a PEM file')
      .describe(
        'The certificate that is shown to etcd (PEM). Where etcd has users it must have no common name: the JSON gateway refuses those.',
      )
      .optional(),
    key_file: nonEmptyText('the path of a PEM file').describe('Its private key (PEM).').optional(),
    server_name: nonEmptyText('a host name')
      .describe('The name that the certificates of etcd are for. Default: the host of the URL.')
      .optional(),
  },
  { error: 'must be a mapping, such as { ca_file: etcd-ca.pem }' },
);

const etcd = z.strictObject(
  {
    endpoints: z
      .array(serverUrl, { error: 'must be a list of URLs, such as ["http://10.0.0.5:2379"]' })
      .min(1, { error: 'must not be empty' })
      .max(MOST_ENDPOINTS, { error: `must not have more than ${MOST_ENDPOINTS}` })
      .describe('The members of etcd, 3.4 or later, as clients reach them.'),
    tls: tls.describe('Needs `https://` in `endpoints`.').optional(),
    user: nonEmptyText('a name')
      .describe('Who Fairlead is in etcd, where etcd has users.')
      .optional(),
    ...passwordKeys,
    prefix: z
      .string({ error: 'must be a text' })
      .regex(/^\/([!-.0-~]+\/)*$/, { error: 'must begin and end with a slash, such as /fairlead/' })
      .describe('All keys in etcd begin with it, and then with the name of the cluster.')
      .default('/fairlead/'),
  },
  { error: 'must be a mapping, such as { endpoints: ["http://10.0.0.5:2379"] }' },
);

const NAME = 'must be 1 to 64 of a-z, 0-9, "_" and "-", of which the first is a letter or a digit';
const INSTANCE = 'must be 1 to 64 letters, digits, "_", "-" and "."';

const mapping = z.strictObject(
  {
    instances: wholeNumber(1, MOST_INSTANCES)
      .describe(
        'How many instances there are, this one among them: what `rate_limit` has with `scope: shared` is divided by it, and with ' +
          '`scope: global` as long as it can’t be counted together. With `etcd` they are counted, and this holds until they are.',
      )
      .default(1),
    name: z
      .string({ error: NAME })
      .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, { error: NAME })
      .describe('Several clusters may share an etcd: by this name they are told apart.')
      .default('fairlead'),
    instance: z
      .string({ error: INSTANCE })
      .regex(/^[\w.-]{1,64}$/, { error: INSTANCE })
      .describe(
        'What this instance is called; no other one may be called so. Default: the name of the host, and the port of the admin API.',
      )
      .optional(),
    address: serverUrl
      .describe(
        'Where other instances reach the admin API of this one, to compare what they think of the health of backends. Default: where it listens.',
      )
      .optional(),
    etcd: etcd.describe('Where the instances agree.').optional(),
    key_file: nonEmptyText('the path of a file')
      .describe(
        'What is secret is stored sealed under the key in this file, relative to the config file: 32 bytes in hex or base64 (`openssl rand -base64 32`), the same at ' +
          'all instances. More lines are older keys, which only open. Without a key, instances share no secrets, show each other the admin token, and ' +
          'can’t share certificates over ACME.',
      )
      .optional(),
    key: secret()
      .describe('The key itself, in the place of `key_file`. Shown to nobody.')
      .optional(),
    snapshot_file: z
      .union([z.literal(false), nonEmptyText('the path of a file')], {
        error: 'must be false or the path of a file',
      })
      .describe(
        'What was last read from the store, so that this instance starts without it; false: none. Default: ' +
          '`fairlead.cluster-INSTANCE.json` beside the state file or the config file; none where there is neither.',
      )
      .optional(),
    redis: redis
      .describe(
        'What counts for `rate_limit` with `scope: global`, and keeps sessions for `sticky` with `scope: global`. Needs the package `ioredis`. false: nothing.',
      )
      .prefault(false),
  },
  { error: MAPPING },
);

export const cluster = orFalse(mapping, MAPPING);
