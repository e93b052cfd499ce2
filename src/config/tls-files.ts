/**
 * The certificates and keys that clients are served with: read, and known to fit together before anything is served with them.
 * Every message names its file; none holds anything of its content.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { createSecureContext } from 'node:tls';
import { type Certificate, type CertificateSource, certificateFacts } from './certificate-facts.ts';
import { describeFileError } from './config-file.ts';
import { readNamedFile } from './named-file.ts';

/** The authorities of a whole system have a fifth of it. */
const MOST_PEM_BYTES = 1024 * 1024;

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

/** Whether clients are spoken to in TLS: the files alone say so, too. */
export function speaksTls(ssl: {
  readonly enabled?: boolean | undefined;
  readonly cert_file?: string | undefined;
  readonly key_file?: string | undefined;
}): boolean {
  return ssl.enabled ?? (ssl.cert_file !== undefined || ssl.key_file !== undefined);
}

export function readCertificates(source: CertificateSource): CertificatesRead {
  return source.kind === 'pair' ? readPair(source.certFile, source.keyFile) : readFolder(source);
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

function readPair(certFile: string, keyFile: string): CertificatesRead {
  const faults: TlsFault[] = [];
  const fault = (key: TlsFault['key'], file: string, message: string): undefined => {
    faults.push({ key, file, message });
    return undefined;
  };
  const read = (key: TlsFault['key'], file: string): string | undefined => {
    const result = readPem(key, file);
    if ('text' in result) return result.text;
    faults.push(result.fault);
    return undefined;
  };
  const cert = read('cert_file', certFile);
  const key = certFile === keyFile ? cert : read('key_file', keyFile);
  const leaf =
    cert === undefined
      ? undefined
      : (leafOf(cert) ??
        fault('cert_file', certFile, `${certFile} holds no certificate in PEM form`));
  const privateKey =
    key === undefined
      ? undefined
      : (keyOf(key) ?? fault('key_file', keyFile, noKeyMessage(key, keyFile)));
  if (leaf === undefined || privateKey === undefined) return { certificates: [], faults };
  if (!leaf.checkPrivateKey(privateKey)) {
    const message = `${keyFile} is not the key of the certificate in ${certFile}`;
    return { certificates: [], faults: [{ key: 'key_file', file: keyFile, message }] };
  }
  const pair = usable({ cert: cert as string, key: key as string, certFile, keyFile, leaf });
  if ('message' in pair) {
    return {
      certificates: [],
      faults: [{ key: 'cert_file', file: certFile, message: pair.message }],
    };
  }
  return { certificates: [pair], faults };
}

export function notesOnExpiry({ certFile, facts }: Certificate): readonly string[] {
  if (facts.notAfterMs >= Date.now()) return [];
  const day = new Date(facts.notAfterMs).toISOString().slice(0, 10);
  return [`the certificate in ${certFile} expired on ${day}`];
}

// ── Folders ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Whatever a README or a log in such a folder says. */
const PEM_NAME = /\.(pem|crt|cer|cert|key)$/i;

interface FoundFile {
  readonly file: string;
  readonly text: string;
  readonly leaf: X509Certificate | undefined;
  readonly key: KeyObject | undefined;
}

/**
 * A certificate and a key belong together if they fit, whatever their files are called: `a.crt` and `a.key`, `tls.crt` and
 * `tls.key`, `fullchain.pem` and `privkey.pem` in a folder below, or both in one file.
 */
function readFolder({ folder }: { readonly folder: string }): CertificatesRead {
  const faults: TlsFault[] = [];
  const fault = (file: string, message: string): void => {
    faults.push({ key: 'folder', file, message });
  };
  let files: readonly string[];
  try {
    files = pemFilesIn(folder);
  } catch (error) {
    fault(folder, `cannot read ${folder}: ${describeFileError(error)}`);
    return { certificates: [], faults };
  }
  const found: FoundFile[] = [];
  for (const file of files) {
    const result = readPem('folder', file);
    if ('fault' in result) {
      faults.push(result.fault);
      continue;
    }
    const { text } = result;
    const one = { file, text, leaf: leafOf(text), key: keyOf(text) };
    const saysKey = /PRIVATE KEY-----/.test(text) || file.endsWith('.key');
    if (one.key === undefined && saysKey) fault(file, noKeyMessage(text, file));
    else if (one.leaf === undefined && one.key === undefined)
      fault(file, `${file} holds no certificate in PEM form`);
    else found.push(one);
  }
  const keys = found.filter(({ key }) => key !== undefined);
  const used = new Set<string>();
  const certificates = new Map<string, Certificate>();
  for (const { file, text, leaf } of found) {
    if (leaf === undefined) continue;
    const own = keys.find(({ key }) => leaf.checkPrivateKey(key as KeyObject));
    if (own === undefined) {
      // The chain by itself has no key here.
      if (!leaf.ca) fault(file, `${file}: the key of this certificate is not in ${folder}`);
      continue;
    }
    used.add(own.file);
    const pair = usable({ cert: text, key: own.text, certFile: file, keyFile: own.file, leaf });
    if ('message' in pair) {
      fault(file, pair.message);
      continue;
    }
    // certbot writes the certificate alone beside the one with its chain.
    const known = certificates.get(pair.facts.fingerprint);
    if (known === undefined || known.cert.length < pair.cert.length) {
      certificates.set(pair.facts.fingerprint, pair);
    }
  }
  for (const { file } of keys) {
    if (!used.has(file)) fault(file, `${file} is the key of no certificate in ${folder}`);
  }
  if (certificates.size === 0 && faults.length === 0) {
    fault(folder, `${folder} holds no certificate with its key`);
  }
  return { certificates: [...certificates.values()], faults };
}

/** In the folder, and in those right below it. Hidden ones are passed over: Kubernetes has its own in there. */
function pemFilesIn(folder: string, isBelow = false): string[] {
  const files: string[] = [];
  for (const name of readdirSync(folder).toSorted()) {
    if (name.startsWith('.')) continue;
    const file = path.join(folder, name);
    const stats = statSync(file, { throwIfNoEntry: false });
    if (stats?.isDirectory() === true) {
      if (!isBelow) files.push(...pemFilesIn(file, true));
    } else if (PEM_NAME.test(name)) {
      files.push(file);
    }
  }
  return files;
}

// ── Texts ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function leafOf(text: string): X509Certificate | undefined {
  // The constructor takes DER too, and a TLS context does not.
  if (!text.includes('-----BEGIN ')) return undefined;
  try {
    return new X509Certificate(text);
  } catch {
    return undefined;
  }
}

function keyOf(text: string): KeyObject | undefined {
  try {
    return createPrivateKey(text);
  } catch {
    return undefined;
  }
}

function noKeyMessage(text: string, file: string): string {
  return /ENCRYPTED/.test(text)
    ? `${file} is encrypted; Fairlead reads keys without a passphrase only`
    : `${file} holds no private key in PEM form`;
}

/** What TLS itself finds wrong as well: a broken chain behind the first certificate, a key too weak to be allowed. */
function usable({
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
