/** Certificates over ACME: the key `acme` of `tls`, part of tls-schema.ts. */
import { z } from 'zod';
import { duration, fail, nonEmptyText, oneOf, secret, wholeNumber } from './schema-types.ts';

const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory';
const MOST_NAMES = 100;
const MOST_ON_DEMAND = 10_000;
const NAME =
  /^(?=.{1,253}$)(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

const name = z
  .string({ error: 'must be a host name, such as shop.example.com' })
  .transform((text, context): string => {
    const lower = text.toLowerCase();
    if (/^[\d.]+$|:/.test(lower)) {
      return fail(context, `must be a host name, and ${text} is an address`);
    }
    if (/\P{ASCII}/u.test(lower)) {
      const ascii = URL.canParse(`http://${lower}`) ? new URL(`http://${lower}`).hostname : '';
      return fail(context, 'must be in ASCII', ascii === '' ? undefined : `write ${ascii}`);
    }
    if (NAME.test(lower)) return lower;
    const what = 'must be a host name with a dot, such as shop.example.com or *.example.com';
    return fail(context, `${what}, not ${JSON.stringify(text)}`);
  });

const directory = z
  .string({ error: 'must be the URL of a directory' })
  .transform((text, context) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url?.protocol !== 'https:') {
      const what = 'must be the URL of a directory, and begin with https://';
      return fail(context, `${what}, not ${JSON.stringify(text)}`);
    }
    return url.href;
  });

const dnsHook = z.strictObject(
  {
    command: z
      .array(nonEmptyText('a text'), {
        error: 'must be a list: a program, and what it is called with',
      })
      .min(1, { error: 'must not be empty' })
      .describe(
        'The program and what it is called with. Behind that come `present` or `cleanup`, the name of the record, and its text. There is no ' +
          'shell. It has to end with 0.',
      ),
    timeout: duration().describe('How long it may take.').prefault('2m'),
    wait: duration(0)
      .describe('How long the record needs from its end until all servers of the zone have it.')
      .prefault('10s'),
  },
  { error: 'must be a mapping, such as { command: [/usr/local/bin/dns-record] }' },
);

const externalAccount = z.strictObject(
  {
    key_id: nonEmptyText('a text').describe('What the authority calls the account.'),
    key: z
      .string({ error: 'must be a text' })
      .regex(/^[\w-]+=*$/, { error: 'must be in base64url' })
      .describe(
        'The key that the authority has given out with it (base64url). A secret: never shown.',
      )
      .meta({ writeOnly: true }),
  },
  { error: 'must be a mapping with key_id and key' },
);

const askUrl = z
  .string({ error: 'must be an http:// or https:// URL' })
  .transform((text, context) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) {
      return fail(context, `must be an http:// or https:// URL, not ${JSON.stringify(text)}`);
    }
    if (url.username + url.password !== '') {
      const hint = 'put a secret into its query, such as ?key=${ASK_KEY}, which is not shown';
      return fail(context, 'must not hold a name or a password', hint);
    }
    return url.href;
  });

const onDemand = z.strictObject(
  {
    ask: askUrl
      .describe(
        'Who decides: it is asked with GET and `domain=NAME` added to its query. 200 allows the name, anything else refuses it. Needed: else ' +
          'whoever connects could have certificates ordered for any name. What stands in its query under a name such as `key` or `token` is a secret: ' +
          'never shown.',
      )
      .optional(),
    timeout: duration().describe('How long an answer may take.').prefault('5s'),
    max_names: wholeNumber(1, MOST_ON_DEMAND)
      .describe(
        'At most this many names have a certificate on demand, those of all listeners counted together.',
      )
      .default(1000),
    max_orders_per_hour: wholeNumber(1, MOST_ON_DEMAND)
      .describe('So many new names are ordered for in an hour at most, by each instance.')
      .default(60),
  },
  { error: 'must be a mapping, such as { ask: "http://127.0.0.1:8080/allowed" }' },
);

export const acme = z.strictObject(
  {
    email: z
      .string({ error: 'must be an e-mail address' })
      .regex(/^[!-?A-~]+@[!-?A-~]+$/, { error: 'must be an e-mail address' })
      .describe('Where the authority may write to. It gets it with the account.')
      .optional(),
    names: z
      .array(name, { error: 'must be a list of host names' })
      .min(1, { error: 'must not be empty' })
      .max(MOST_NAMES, { error: `must not have more than ${MOST_NAMES} names` })
      .describe(
        'The host names. Each gets a certificate of its own. `*.example.com` needs `dns_hook`. Needed unless there is `on_demand`.',
      )
      .optional(),
    on_demand: onDemand
      .describe(
        'Certificates for names that are not in `names`, once a client asks for one of them and who is asked allows it. See ' +
          '[certificates on demand](operations.md#certificates-on-demand).',
      )
      .optional(),
    ca: directory
      .describe(
        'The directory of the authority. Whoever names one agrees to its terms of service. Default: Let’s Encrypt; for trying it out, its ' +
          '`https://acme-staging-v02.api.letsencrypt.org/directory` has generous limits and certificates that nobody trusts.',
      )
      .prefault(LETS_ENCRYPT),
    ca_file: nonEmptyText('the path of a PEM file')
      .describe(
        'Who has signed the certificate of that directory (PEM), relative to the config file. Default: the authorities that Node trusts.',
      )
      .optional(),
    challenge: oneOf(['http-01', 'tls-alpn-01', 'dns-01'])
      .describe(
        'How the authority finds out that a name leads here. `http-01`: it asks at port 80. `tls-alpn-01`: at port 443. `dns-01`: it looks for a ' +
          'record that `dns_hook` makes. Default: `dns-01` with `dns_hook`; else `http-01` where a listener speaks in the clear, or `tls-alpn-01`.',
      )
      .optional(),
    dns_hook: dnsHook.describe('A command that makes records in DNS.').optional(),
    external_account: externalAccount
      .describe('What some authorities give out before an account can be made (EAB).')
      .optional(),
    store_file: nonEmptyText('the path of a file')
      .describe(
        'Where accounts, keys and certificates are kept (mode 0600), relative to the config file; the same for all listeners. Default: ' +
          '`fairlead.acme.json` beside the state file or the config file. Not with `cluster.etcd`: there it is kept in etcd, sealed under `cluster.key_file`.',
      )
      .optional(),
    store_key_file: nonEmptyText('the path of a file')
      .describe(
        'Keys that what is kept there is encrypted with (AES-256-GCM): 32 bytes in hex or base64 in each line; the first encrypts, all decrypt.',
      )
      .optional(),
    store_key: secret()
      .describe('The same as a text, such as `${ACME_STORE_KEY}`. A secret: never shown.')
      .optional(),
  },
  { error: 'must be a mapping, such as { names: [shop.example.com] }' },
);

export type AcmeConfig = z.output<typeof acme>;
