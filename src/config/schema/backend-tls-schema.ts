/** TLS to the backends of a pool: `tls` in a pool, `backend_tls` in the short form, where `ssl` is the side of clients. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { canonicalIPv6, isHostName } from '../values/network-address.ts';
import { fail, nonEmptyText, trueOrFalse } from './schema-types.ts';

const NAME = 'must be a host name or an IP address';

/** An IPv6 address may stand in brackets. */
const serverName = z.string({ error: NAME }).transform((value, context): string => {
  const bare = value.startsWith('[') && value.endsWith(']') ? value.slice(1, -1) : value;
  const address = canonicalIPv6(bare) ?? (isIP(value) === 4 ? value : undefined);
  if (address !== undefined) return address;
  if (!isHostName(value)) return fail(context, `${NAME}, not ${JSON.stringify(value)}`);
  return value.toLowerCase().replace(/\.$/, '');
});

export const backendTls = z
  .strictObject(
    {
      ca_file: nonEmptyText('the path of a PEM file')
        .describe(
          'The authorities that certificates of backends may be from (PEM), in place of those that this machine trusts; of a ' +
            'certificate that signs itself: itself.',
        )
        .optional(),
      cert_file: nonEmptyText('the path of a PEM file')
        .describe(
          'A certificate that backends are shown when they ask for one, and its chain (PEM).',
        )
        .optional(),
      key_file: nonEmptyText('the path of a PEM file')
        .describe('Its private key (PEM).')
        .optional(),
      server_name: serverName
        .describe(
          'The name that backends are asked for (SNI), and that their certificates must have; for those whose URL is an address, ' +
            'too. Default: the host of the URL.',
        )
        .optional(),
      verify: trueOrFalse()
        .describe(
          'Whether a backend has to prove who it is. false: anybody who is reached may answer, and read what clients send.',
        )
        .default(true),
    },
    { error: 'must be a mapping, such as { ca_file: ca.pem }' },
  )
  .describe(
    'TLS to backends with `https` in their URL, of requests and of health checks. Paths are relative to the config file.',
  )
  .prefault({});
