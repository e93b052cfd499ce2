/** TLS towards clients, in full: what `ssl` is the short form of. */
import { z } from 'zod';
import { acme } from './acme-schema.ts';
import { nonEmptyText, oneOf } from './schema-types.ts';

const pemFile = () => nonEmptyText('the path of a PEM file');

const certificate = z.strictObject(
  {
    cert_file: pemFile()
      .describe('A certificate and its chain (PEM), relative to the config file.')
      .optional(),
    key_file: pemFile()
      .describe(
        'Its private key (PEM), relative to the config file. Default: it stands in `cert_file`.',
      )
      .optional(),
    folder: nonEmptyText('the path of a folder')
      .describe('In place of the two: every certificate in the folder whose key is there too.')
      .optional(),
  },
  { error: 'must be a mapping with cert_file and key_file, or with folder' },
);

/** YAML reads 1.2 without quotes as a number. */
const version = z
  .union([oneOf(['1.2', '1.3']), z.literal(1.2), z.literal(1.3)], {
    error: 'must be one of 1.2, 1.3',
  })
  .transform((value): '1.2' | '1.3' => (String(value) === '1.3' ? '1.3' : '1.2'));

const clientCertificates = z.strictObject(
  {
    mode: oneOf(['none', 'request', 'require'])
      .describe(
        'request: clients are asked for a certificate, and backends are told of it. require: who has none, or one that is ' +
          'not good, is refused.',
      )
      .default('require'),
    ca_file: nonEmptyText('the path of a PEM file')
      .describe(
        'The authorities (PEM) whose certificates are good, relative to the config file. Needed unless `mode` is `none`.',
      )
      .optional(),
  },
  { error: 'must be a mapping with mode and ca_file' },
);

const tls = z.strictObject(
  {
    certificates: z
      .array(certificate, { error: 'must be a list of certificates' })
      .refine((list) => list.length > 0, { error: 'must not be empty: TLS needs a certificate' })
      .describe(
        'The certificates, chosen by the name that a client asks for (SNI). The first is the default. Needed unless there is `acme`.',
      )
      .optional(),
    acme: acme
      .describe(
        'Certificates that are fetched from an authority such as Let’s Encrypt, and renewed, over ACME (RFC 8555). For a name that `certificates` ' +
          'has one for, that one is served. See [certificates that renew themselves](operations.md#certificates-that-renew-themselves).',
      )
      .optional(),
    unknown_name: oneOf(['default', 'refuse'])
      .describe(
        'A client that asks for a name that no certificate is for, or for none: it gets the first one; or it is refused.',
      )
      .default('default'),
    client_certificates: clientCertificates
      .describe('Certificates of clients.')
      .prefault({ mode: 'none' }),
    min_version: version.describe('The least version of TLS.').prefault('1.2'),
  },
  { error: 'must be a mapping with certificates' },
);

export const tlsOfListener = tls.superRefine((one, context) => {
  if (one.certificates !== undefined || one.acme !== undefined) return;
  const message = 'is missing: TLS needs a certificate, or acme to fetch one';
  context.addIssue({ code: 'custom', message, path: ['certificates'] });
});

export type TlsConfig = z.output<typeof tlsOfListener>;
