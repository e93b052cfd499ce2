/** TLS towards clients, of the short form and in full: files found and read, and what is said of them. */
import { X509Certificate } from 'node:crypto';
import type { Certificate, CertificateSource } from './certificate-facts.ts';
import type { Path } from './layer.ts';
import type { MergedConfig } from './merge.ts';
import type { Problem } from './problem.ts';
import type { TlsSettings } from './settings.ts';
import { notesOnExpiry, readCertificates, readPem, speaksTls, type TlsFault } from './tls-files.ts';
import type { TlsConfig } from './tls-schema.ts';

/** Makes a path absolute, by where the value at `keys` stands. */
export type Resolve = (text: string, keys: Path) => string;

interface Outcome {
  readonly placeOf: MergedConfig['placeOf'];
  readonly resolve: Resolve;
  readonly problems: Problem[];
  readonly notes: string[];
}

/** The short form: of the listener of `port`. */
export function compileSsl(
  { config, placeOf, isGiven }: MergedConfig,
  resolve: Resolve,
  problems: Problem[],
  notes: string[],
): TlsSettings | undefined {
  const outcome = { placeOf, resolve, problems, notes };
  if (!speaksTls(config.ssl)) return undefined;
  const { cert_file: certFile, key_file: keyFile } = config.ssl;
  const report = (key: string, message: string): void => {
    const at = isGiven(['ssl', key]) ? ['ssl', key] : ['ssl'];
    problems.push({ ...placeOf(at, 'key'), path: `ssl.${key}`, message });
  };
  if (certFile === undefined) report('cert_file', 'is missing: TLS needs a certificate');
  if (keyFile === undefined) report('key_file', 'is missing: TLS needs a private key');
  if (certFile === undefined || keyFile === undefined) return undefined;
  const source: CertificateSource = {
    kind: 'pair',
    certFile: resolve(certFile, ['ssl', 'cert_file']),
    keyFile: resolve(keyFile, ['ssl', 'key_file']),
  };
  const certificates = readAt(source, ['ssl'], outcome);
  notes.push(...notesOn(certificates));
  return {
    sources: [source],
    certificates,
    refusesUnknownNames: false,
    clientCertificates: null,
    minVersion: '1.2',
  };
}

/** @param at where it stands in the config. */
export function compileTls(config: TlsConfig, at: Path, outcome: Outcome): TlsSettings {
  const { placeOf, resolve, problems, notes } = outcome;
  const sources: CertificateSource[] = [];
  const certificates: Certificate[] = [];
  config.certificates.forEach((one, index) => {
    const place = [...at, 'certificates', index];
    const source = sourceOf(one, place, outcome);
    if (source === undefined) return;
    sources.push(source);
    certificates.push(...readAt(source, place, outcome));
  });
  notes.push(...notesOn(certificates));
  const { mode, ca_file: caFile } = config.client_certificates;
  let clientCertificates: TlsSettings['clientCertificates'] = null;
  if (mode !== 'none') {
    const keys = [...at, 'client_certificates', 'ca_file'];
    const report = (message: string, part: 'key' | 'value' = 'value'): void => {
      const isThere = placeOf(keys).origin !== 'default';
      const where = isThere ? keys : keys.slice(0, -1);
      problems.push({
        ...placeOf(where, isThere ? part : 'key'),
        path: keys.join('.'),
        message,
      });
    };
    if (caFile === undefined) report('is missing: whose certificates are good?', 'key');
    else {
      const file = resolve(caFile, keys);
      const read = readAuthorities(file);
      if ('message' in read) report(read.message);
      else clientCertificates = { mode, caFile: file, ca: read.text };
    }
  }
  return {
    sources,
    certificates,
    refusesUnknownNames: config.unknown_name === 'refuse',
    clientCertificates,
    minVersion: config.min_version,
  };
}

function sourceOf(
  one: TlsConfig['certificates'][number],
  at: Path,
  { placeOf, resolve, problems }: Outcome,
): CertificateSource | undefined {
  const { cert_file: certFile, key_file: keyFile, folder } = one;
  const report = (message: string): undefined => {
    problems.push({ ...placeOf(at), path: at.join('.'), message });
    return undefined;
  };
  const resolved = (key: string, file: string): string => resolve(file, [...at, key]);
  if (folder !== undefined) {
    if (certFile !== undefined || keyFile !== undefined) {
      return report('must be either a folder, or a cert_file with its key_file');
    }
    return { kind: 'folder', folder: resolved('folder', folder) };
  }
  if (certFile === undefined) return report('needs a cert_file, or a folder');
  return {
    kind: 'pair',
    certFile: resolved('cert_file', certFile),
    keyFile:
      keyFile === undefined ? resolved('cert_file', certFile) : resolved('key_file', keyFile),
  };
}

function readAt(
  source: CertificateSource,
  at: Path,
  { placeOf, problems }: Outcome,
): readonly Certificate[] {
  const { certificates, faults } = readCertificates(source);
  for (const { key, message } of faults) {
    // The key may stand in the file of the certificate.
    const keys = [...at, placeOf([...at, key]).origin === 'default' ? 'cert_file' : key];
    problems.push({ ...placeOf(keys), path: keys.join('.'), message });
  }
  return certificates;
}

function notesOn(certificates: readonly Certificate[]): string[] {
  return certificates.flatMap((certificate, index) => {
    const { certFile, facts } = certificate;
    const notes = [...notesOnExpiry(certificate)];
    if (index > 0 && facts.names.length === 0) {
      notes.push(
        `the certificate in ${certFile} is for no host name (it has no DNS name in its subjectAltName): nobody gets it`,
      );
    }
    return notes;
  });
}

/** PEM with one certificate or more, all of them sound. */
export function readAuthorities(
  file: string,
): { readonly text: string } | Pick<TlsFault, 'message'> {
  const read = readPem('cert_file', file);
  if ('fault' in read) return read.fault;
  const { text } = read;
  const blocks = text.match(/-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]*-----END [^-]*-----/g);
  if (blocks === null) return { message: `${file} holds no certificate in PEM form` };
  return blocks.every(isCertificate)
    ? { text }
    : { message: `${file} holds a certificate that can't be read` };
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}
