/** From `tls` of a pool to its settings: files read, known to fit together; what has no effect. */
import { X509Certificate } from 'node:crypto';
import path from 'node:path';
import { createSecureContext } from 'node:tls';
import type { Report } from './policy-report.ts';
import type { PoolView } from './pool-view.ts';
import type { BackendTlsSettings, DiscoverySettings, ValueOrigin } from './settings.ts';
import { notesOnExpiry, readCertificates, readPem } from './tls-files.ts';

/** What relative paths from there are relative to. */
export type FolderOf = (origin: ValueOrigin) => string;

const CERTIFICATE = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END [A-Z0-9 ]+-----/g;

/** @returns null where everything is as without the section, or could not be read. */
export function compileBackendTls(
  view: PoolView,
  folderOf: FolderOf,
  discovery: DiscoverySettings | null,
  report: Report,
): BackendTlsSettings | null {
  const { backend_tls: given } = view.config;
  if (!view.isSound('backend_tls')) return null;
  const { ca_file: caFile, verify: verifies } = given;
  const serverName = given.server_name ?? nameOfFound(view, discovery, report);
  const resolved = (key: 'ca_file' | 'cert_file' | 'key_file'): string => {
    const text = given[key];
    if (text === undefined) return '';
    return path.resolve(folderOf(view.placeOf(['backend_tls', key]).origin), text);
  };
  const pair = readPair(view, resolved('cert_file'), resolved('key_file'), report);
  const ca = caFile === undefined ? '' : readAuthorities(resolved('ca_file'), report);
  if (pair === undefined || ca === undefined) return null;
  const settings = { ...pair, ca, caFile: resolved('ca_file'), serverName, verifies };
  if (settings.cert === '' && ca === '' && serverName === '' && verifies) return null;
  noteOn(view, settings, discovery, report);
  return settings;
}

/** What is found by a name is an address, and its certificate names the name. */
function nameOfFound(
  { config: { backends, backend_tls: given } }: PoolView,
  discovery: DiscoverySettings | null,
  report: Report,
): string {
  if (discovery === null || !discovery.dns.tls || !given.verify) return '';
  if (backends.some(({ tls }) => tls)) {
    report.problem(
      ['backend_tls', 'server_name'],
      `is missing: what discover finds is asked for one name, and each of backends for another`,
      ['discover', 'dns'],
    );
  }
  return discovery.dns.host;
}

function readPair(
  { config: { backend_tls: given } }: PoolView,
  certFile: string,
  keyFile: string,
  report: Report,
): Pick<BackendTlsSettings, 'cert' | 'key' | 'certFile' | 'keyFile'> | undefined {
  if (given.cert_file === undefined && given.key_file === undefined) {
    return { cert: '', key: '', certFile: '', keyFile: '' };
  }
  if (given.cert_file === undefined) {
    report.problem(['backend_tls', 'cert_file'], 'is missing: a key needs its certificate', [
      'backend_tls',
      'key_file',
    ]);
    return undefined;
  }
  if (given.key_file === undefined) {
    report.problem(['backend_tls', 'key_file'], 'is missing: a certificate needs its key', [
      'backend_tls',
      'cert_file',
    ]);
    return undefined;
  }
  const { certificates, faults } = readCertificates({ kind: 'pair', certFile, keyFile });
  for (const { key, message } of faults) report.problem(['backend_tls', key], message);
  const [certificate] = certificates;
  if (certificate === undefined) return undefined;
  for (const note of notesOnExpiry(certificate)) report.note(note);
  const { cert, key } = certificate;
  return { cert, key, certFile, keyFile };
}

/** The PEM text; undefined: it can't be used. */
function readAuthorities(file: string, report: Report): string | undefined {
  const refuse = (message: string): undefined => {
    report.problem(['backend_tls', 'ca_file'], message);
  };
  const read = readPem('cert_file', file);
  if ('fault' in read) return refuse(read.fault.message);
  const { text } = read;
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0) return refuse(`${file} holds no certificate in PEM form`);
  for (const [index, pem] of certificates.entries()) {
    let until: number;
    try {
      until = Date.parse(new X509Certificate(pem).validTo);
    } catch {
      return refuse(`certificate ${index + 1} of ${certificates.length} in ${file} cannot be read`);
    }
    // A bundle of a system always has some.
    if (certificates.length === 1 && until < Date.now()) {
      report.note(
        `the certificate in ${file} expired on ${new Date(until).toISOString().slice(0, 10)}: no backend can be verified by it`,
      );
    }
  }
  try {
    createSecureContext({ ca: text });
  } catch (error) {
    return refuse(`${file} cannot be used: ${(error as Error).message}`);
  }
  return text;
}

function noteOn(
  { config: { backends }, keyOf }: PoolView,
  { ca, verifies }: BackendTlsSettings,
  discovery: DiscoverySettings | null,
  report: Report,
): void {
  const section = keyOf(['backend_tls']);
  const all = [...backends, ...(discovery === null ? [] : [discovery.dns])];
  if (all.length > 0 && !all.some(({ tls }) => tls)) {
    report.note(`${section} has no effect: no backend has https in its URL`);
  } else if (!verifies) {
    report.note(
      `${section}.verify is false: whoever is reached in the place of a backend is taken for it`,
    );
    if (ca !== '') report.note(`${section}.ca_file has no effect while ${section}.verify is false`);
  }
}
