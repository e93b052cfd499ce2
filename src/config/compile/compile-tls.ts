/** TLS towards clients, of the short form and in full: files found and read, and what is said of them. */
import { readAuthorities } from '../certificates/authorities-file.ts';
import type { Certificate, CertificateSource } from '../certificates/certificate-facts.ts';
import { type FileFault, isFrom, withKept } from '../certificates/kept-certificates.ts';
import type { TlsFault } from '../certificates/pem.ts';
import {
  notesOnChain,
  notesOnExpiry,
  readCertificates,
  speaksTls,
} from '../certificates/tls-files.ts';
import type { MergedConfig } from '../merge.ts';
import type { Problem } from '../problem.ts';
import type { Path } from '../read/layer.ts';
import type { TlsConfig } from '../schema/tls-schema.ts';
import type { TlsSettings } from '../settings.ts';
import { type AcmeReading, compileAcme } from './compile-acme.ts';

/** Makes a path absolute, by where the value at `keys` stands. */
export type Resolve = (text: string, keys: Path) => string;

/** What is found goes into its lists. */
export interface Reading {
  readonly resolve: Resolve;
  readonly problems: Problem[];
  readonly notes: string[];
  /**
   * The certificates that are served: what is broken in a folder costs only what is in it, and of that, what is among these stays.
   * Undefined: all that is wrong is a problem.
   */
  readonly inUse: readonly Certificate[] | undefined;
  /** What is broken, and is no problem. */
  readonly faults: FileFault[];
}

interface Outcome extends Reading {
  readonly placeOf: MergedConfig['placeOf'];
}

/** The short form: of the listener of `port`. */
export function compileSsl(
  { config, placeOf, isGiven }: MergedConfig,
  reading: Reading,
): TlsSettings | undefined {
  const { resolve, problems, notes } = reading;
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
  const { certificates } = readAt(source, ['ssl'], { ...reading, placeOf });
  notes.push(...notesOn(certificates));
  return {
    sources: [source],
    certificates,
    acme: null,
    refusesUnknownNames: false,
    clientCertificates: null,
    minVersion: '1.2',
  };
}

/** @param at where it stands in the config. */
export function compileTls(
  config: TlsConfig,
  at: Path,
  outcome: Outcome & Pick<AcmeReading, 'storeFolder' | 'isInCluster' | 'hasPlainListener'>,
): TlsSettings {
  const { placeOf, resolve, problems, notes, faults } = outcome;
  const sources: CertificateSource[] = [];
  const certificates: Certificate[] = [];
  const spared: Located[] = [];
  const written = config.certificates ?? [];
  written.forEach((one, index) => {
    const place = [...at, 'certificates', index];
    const source = sourceOf(one, place, outcome);
    if (source === undefined) return;
    sources.push(source);
    const read = readAt(source, place, outcome);
    certificates.push(...read.certificates);
    spared.push(...read.spared);
  });
  if (certificates.length > 0) faults.push(...spared.map(({ fault }) => fault));
  // Nothing is left to serve.
  else for (const one of spared) reportFault(one, outcome);
  notes.push(...notesOn(certificates));
  const { mode, ca_file: caFile } = config.client_certificates;
  let clientCertificates: TlsSettings['clientCertificates'] = null;
  if (mode !== 'none') {
    const keys = [...at, 'client_certificates', 'ca_file'];
    const refuse = (message: string, part: 'key' | 'value' = 'value'): void => {
      const isThere = placeOf(keys).origin !== 'default';
      const where = isThere ? keys : keys.slice(0, -1);
      problems.push({
        ...placeOf(where, isThere ? part : 'key'),
        path: keys.join('.'),
        message,
      });
    };
    if (caFile === undefined) refuse('is missing: whose certificates are good?', 'key');
    else {
      const file = resolve(caFile, keys);
      const read = readAuthorities(file);
      if ('message' in read) refuse(read.message);
      else clientCertificates = { mode, caFile: file, ca: read.text };
    }
  }
  const acme =
    config.acme === undefined ? null : compileAcme(config.acme, [...at, 'acme'], outcome);
  return {
    sources,
    certificates,
    acme,
    refusesUnknownNames: config.unknown_name === 'refuse',
    clientCertificates,
    minVersion: config.min_version,
  };
}

function sourceOf(
  one: NonNullable<TlsConfig['certificates']>[number],
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

interface Located {
  readonly fault: TlsFault;
  readonly at: Path;
}

/** @returns as well what is broken and need not be a problem, as long as there is anything to serve. */
function readAt(
  source: CertificateSource,
  at: Path,
  outcome: Outcome,
): { readonly certificates: readonly Certificate[]; readonly spared: readonly Located[] } {
  const former = outcome.inUse?.filter((one) => isFrom(one, source));
  const { certificates, faults } = readCertificates(source, former);
  const located = faults.map((fault) => ({ fault, at }));
  const kept = former === undefined ? certificates : withKept(certificates, former, faults, source);
  const isSpared = ({ fault: { file } }: Located): boolean =>
    former !== undefined && source.kind === 'folder' && (file !== source.folder || kept.length > 0);
  // What the config names itself, whoever has written it must know.
  for (const one of located) if (!isSpared(one)) reportFault(one, outcome);
  return { certificates: kept, spared: located.filter(isSpared) };
}

function reportFault(
  { fault: { key, message }, at }: Located,
  { placeOf, problems }: Outcome,
): void {
  // The key may stand in the file of the certificate.
  const keys = [...at, placeOf([...at, key]).origin === 'default' ? 'cert_file' : key];
  problems.push({ ...placeOf(keys), path: keys.join('.'), message });
}

function notesOn(certificates: readonly Certificate[]): string[] {
  return certificates.flatMap((certificate, index) => {
    const { certFile, facts } = certificate;
    const notes = [...notesOnExpiry(certificate), ...notesOnChain(certificate)];
    if (index > 0 && facts.names.length === 0) {
      notes.push(
        `the certificate in ${certFile} is for no host name (it has no DNS name in its subjectAltName): nobody gets it`,
      );
    }
    return notes;
  });
}
