/** `fairlead cert dev NAME…`: certificates for development, from an authority of the user's own. */
import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { makeCertificate } from '../control/certificates/sign.ts';
import { type CommandSpec, HELP_FLAG, helpOf } from './command-spec.ts';
import {
  type DevAuthority,
  defaultAuthorityFolder,
  openAuthority,
  writePair,
} from './dev-authority.ts';
import { EXIT_FAILED, EXIT_FINE } from './exit.ts';
import { parseFlags, UsageError, withUsageErrors } from './tool-flags.ts';

/** What systems put up with at most, from an authority that a user has added. */
const DAYS = 825;
const HOST =
  /^(?=.{1,253}$)(\*\.)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

export const CERT = {
  name: 'cert',
  usage: 'dev NAME… [--out FOLDER] [--authority FOLDER] [--client] [--force]',
  about: `Makes a certificate for these names (shop.localhost, *.shop.localhost, 127.0.0.1), signed by an authority of your own,
which is made first if there is none. For development: whoever has its key can pass for any site to who trusts it.`,
  flags: {
    out: {
      type: 'string',
      value: 'FOLDER',
      help: 'where NAME.crt and NAME.key go (default: the working folder)',
    },
    authority: {
      type: 'string',
      value: 'FOLDER',
      help: 'where the authority is (default: ~/.local/share/fairlead/dev-authority)',
    },
    client: {
      type: 'boolean',
      help: 'a certificate for a client that is called NAME, and not for a server',
    },
    force: { type: 'boolean', help: 'replace files that another authority has signed' },
    json: { type: 'boolean', help: 'as JSON: { names, days, cert_file, key_file, authority }' },
    ...HELP_FLAG,
  },
  words: ['dev'],
  examples: [
    'fairlead cert dev shop.localhost',
    "fairlead cert dev '*.shop.localhost' 127.0.0.1 --out certs",
  ],
} as const satisfies CommandSpec;

export function runCert(args: readonly string[]): Promise<number> {
  return withUsageErrors('cert', () => {
    const { values, positionals } = parseFlags(args, CERT.flags);
    if (values.help === true) {
      process.stdout.write(helpOf(CERT));
      return EXIT_FINE;
    }
    const [action, ...given] = positionals;
    if (action !== 'dev') throw new UsageError('say what for: fairlead cert dev NAME…');
    const isClient = values.client === true;
    const names = namesOf(given, isClient);
    const out = path.resolve(values.out ?? '.');
    const base = path.join(
      out,
      (names[0] as string).replace('*', '_').replaceAll(/[^\w.@-]/g, '_'),
    );
    const [certFile, keyFile] = [`${base}.crt`, `${base}.key`] as const;
    try {
      const folder = path.resolve(values.authority ?? defaultAuthorityFolder(process.env));
      const authority = openAuthority(folder);
      if (values.force !== true) refuseOthers(certFile, keyFile, authority);
      mkdirSync(out, { recursive: true });
      const usage = isClient ? 'client' : 'server';
      const signed = makeCertificate(names, authority.signer, usage, DAYS);
      writePair(signed, certFile, keyFile);
      const made = { names, certFile, keyFile, authority, isClient };
      process.stdout.write(values.json === true ? jsonReport(made) : report(made));
      return EXIT_FINE;
    } catch (error) {
      process.stderr.write(`fairlead cert: ${(error as Error).message}\n`);
      return EXIT_FAILED;
    }
  });
}

function namesOf(given: readonly string[], isClient: boolean): readonly string[] {
  if (given.length === 0)
    throw new UsageError('say for which names: fairlead cert dev shop.localhost');
  if (isClient) {
    if (given.length > 1) throw new UsageError('a client has one name');
    return given;
  }
  const names = given.map((name) => name.toLowerCase());
  const wrong = names.find((name) => net.isIP(name) === 0 && !HOST.test(name));
  if (wrong === undefined) return [...new Set(names)];
  throw new UsageError(
    `"${wrong}" is no host name and no address, such as shop.localhost or 127.0.0.1`,
  );
}

/** The key of a real site may have that name. */
function refuseOthers(
  certFile: string,
  keyFile: string,
  { certificate: authority }: DevAuthority,
): void {
  const cert = readIfThere(certFile);
  const isOurs = cert !== undefined && isSignedBy(cert, authority);
  const taken =
    cert !== undefined ? certFile : readIfThere(keyFile) === undefined ? undefined : keyFile;
  if (taken === undefined || isOurs) return;
  throw new Error(
    `${taken} is there, and not of this authority: --force replaces it, --out writes elsewhere`,
  );
}

function readIfThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function isSignedBy(pem: Buffer, authority: X509Certificate): boolean {
  try {
    return new X509Certificate(pem).verify(authority.publicKey);
  } catch {
    return false;
  }
}

interface Made {
  readonly names: readonly string[];
  readonly certFile: string;
  readonly keyFile: string;
  readonly authority: DevAuthority;
  readonly isClient: boolean;
}

function jsonReport({ names, certFile, keyFile, authority }: Made): string {
  const { file, isNew } = authority;
  const made = {
    names,
    days: DAYS,
    cert_file: certFile,
    key_file: keyFile,
    authority: { file, is_new: isNew },
  };
  return `${JSON.stringify(made, null, 2)}\n`;
}

function report({ names, certFile, keyFile, authority: { file, isNew }, isClient }: Made): string {
  const use = isClient
    ? `Trust it in the config:
  listeners: [{ …, tls: { …, client_certificates: { mode: require, ca_file: ${file} } } }]
Show it: curl --cert ${certFile} --key ${keyFile} …
`
    : `In the config:
  ssl: { cert_file: ${certFile}, key_file: ${keyFile} }
`;
  return `The certificate for ${names.join(', ')}, good for ${DAYS} days:
  ${certFile}
  ${keyFile}
${isNew ? 'The authority was made' : 'The authority'}: ${file}
${use}${isClient ? '' : trust(file)}`;
}

function trust(file: string): string {
  return `Trust the authority, once:
  curl               --cacert ${file}
  Node               NODE_EXTRA_CA_CERTS=${file}
  Debian, Ubuntu     sudo cp ${file} /usr/local/share/ca-certificates/fairlead-dev.crt && sudo update-ca-certificates
  Fedora             sudo trust anchor ${file}
  macOS              sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ${file}
  Windows            certutil -addstore -user Root ${file}
  Firefox            Settings, Privacy & Security, View Certificates, Authorities, Import
`;
}
