/** Certificates and keys as they stand in files: read, and judged each by itself. No message holds anything of a content. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { readNamedFile } from '../read/named-file.ts';
import { type Certificate, certificateFacts } from './certificate-facts.ts';

/** The authorities of a whole system have a fifth of it. */
const MOST_PEM_BYTES = 1024 * 1024;

const CERTIFICATE = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END [A-Z0-9 ]+-----/g;

export interface TlsFault {
  /** Of the source, in the words of the config. */
  readonly key: 'cert_file' | 'key_file' | 'folder';
  /** The one that is wrong; of a folder perhaps the folder itself. */
  readonly file: string;
  readonly message: string;
}

/** What is good is there, whatever is wrong with the rest. */
export interface CertificatesRead {
  readonly certificates: readonly Certificate[];
  readonly faults: readonly TlsFault[];
}

/** @returns the text, or what is wrong with the file. */
export function readPem(
  key: TlsFault['key'],
  file: string,
): { readonly text: string } | { readonly fault: TlsFault } {
  const read = readNamedFile(file, MOST_PEM_BYTES);
  return 'fault' in read
    ? { fault: { key, file, message: read.fault } }
    : { text: read.bytes.toString('utf8') };
}

export function leafOf(text: string): X509Certificate | undefined {
  // The constructor takes DER too, and a TLS context does not.
  if (!text.includes('CERTIFICATE-----')) return undefined;
  try {
    return new X509Certificate(text);
  } catch {
    return undefined;
  }
}

export function keyOf(text: string): KeyObject | undefined {
  // To find out that a text is none takes OpenSSL longer than to read one.
  if (!text.includes('PRIVATE KEY-----')) return undefined;
  try {
    return createPrivateKey(text);
  } catch {
    return undefined;
  }
}

/** What stands behind the first certificate, as far as it can be read. */
export function chainIn(text: string): readonly X509Certificate[] {
  return certificatesIn(text)
    .slice(1)
    .flatMap((one) => leafOf(one) ?? []);
}

/** PEM texts of each. */
export function certificatesIn(text: string): readonly string[] {
  return text.match(CERTIFICATE) ?? [];
}

export function noKeyMessage(text: string, file: string): string {
  return /ENCRYPTED/.test(text)
    ? `${file} is encrypted; Fairlead reads keys without a passphrase only`
    : `${file} holds no private key in PEM form`;
}

/** What TLS itself finds wrong as well: a broken chain behind the first certificate, a key too weak to be allowed. */
export function usable({
  leaf,
  ...pair
}: Omit<Certificate, 'facts'> & { readonly leaf: X509Certificate }):
  | Certificate
  | { readonly message: string } {
  try {
    createSecureContext({ cert: pair.cert, key: pair.key });
    return { ...pair, facts: certificateFacts(leaf) };
  } catch (error) {
    return { message: `${pair.certFile} cannot be used: ${(error as Error).message}` };
  }
}
