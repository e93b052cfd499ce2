/** Reads all files of certificates and keys again: what is good is taken, what is not stays as it was. */

import path from 'node:path';
import { readAuthorities } from '../../config/certificates/authorities-file.ts';
import {
  type BackendTlsRead,
  readBackendTls,
} from '../../config/certificates/backend-tls-files.ts';
import type { Certificate } from '../../config/certificates/certificate-facts.ts';
import {
  distinct,
  type FileFault,
  isFrom,
  withKept,
} from '../../config/certificates/kept-certificates.ts';
import { readCertificates } from '../../config/certificates/tls-files.ts';
import type {
  BackendTlsSettings,
  ListenerSettings,
  PoolSettings,
  Settings,
  TlsSettings,
} from '../../config/settings.ts';
import { isSame } from '../../config/values/same.ts';

/** What clients are served with. */
export function certificatesOf(settings: Settings): Certificate[] {
  return tlsOf(settings).flatMap(({ certificates }) => certificates);
}

const MOST_NOTES = 100;

/** A certificate of ours, as far as it matters when it ends. */
export type Own = Pick<Certificate, 'certFile' | 'facts'>;

/** What backends are shown. */
export function shownTo({ pools }: Settings): Own[] {
  return pools.flatMap(({ backendTls }) => {
    if (backendTls === null || backendTls.facts === null) return [];
    const { certFile, facts } = backendTls;
    return { certFile, facts };
  });
}

/** Files and folders. */
export function filesOf(settings: Settings): string[] {
  const files = tlsOf(settings).flatMap(({ sources, clientCertificates }) => [
    ...sources.flatMap((source) =>
      source.kind === 'folder' ? [source.folder] : [source.certFile, source.keyFile],
    ),
    clientCertificates?.caFile ?? '',
  ]);
  const ofBackends = settings.pools.flatMap(({ backendTls }) =>
    backendTls === null ? [] : [backendTls.caFile, backendTls.certFile, backendTls.keyFile],
  );
  return [...files, ...ofBackends].filter((file) => file !== '');
}

/** What is in force of each file, but for keys: to tell which have changed. */
export function contentsOf(settings: Settings): Map<string, string> {
  const contents = new Map<string, string>();
  for (const { certificates, clientCertificates } of tlsOf(settings)) {
    for (const { certFile, cert } of certificates) contents.set(certFile, cert);
    if (clientCertificates !== null) contents.set(clientCertificates.caFile, clientCertificates.ca);
  }
  for (const { backendTls } of settings.pools) {
    if (backendTls === null) continue;
    const { caFile, ca, certFile, cert } = backendTls;
    if (caFile !== '') contents.set(caFile, ca);
    if (certFile !== '') contents.set(certFile, cert);
  }
  return contents;
}

/** Files, and folders, of which something is in force, be it as they were before. */
export function filesInForce(settings: Settings): ReadonlySet<string> {
  const files = new Set(contentsOf(settings).keys());
  for (const { sources, certificates } of tlsOf(settings)) {
    for (const { certFile, keyFile } of certificates) {
      files.add(keyFile).add(path.dirname(certFile));
    }
    for (const source of sources) {
      if (source.kind === 'folder' && certificates.some((one) => isFrom(one, source))) {
        files.add(source.folder);
      }
    }
  }
  for (const { backendTls } of settings.pools) files.add(backendTls?.keyFile ?? '');
  return files;
}

/** As an operator reads it who has asked for a reload. */
export function notesOnFaults(faults: readonly FileFault[]): string[] {
  const notes = faults
    .slice(0, MOST_NOTES)
    .map(({ message }) => `a certificate is not taken up: ${message}`);
  const left = faults.length - notes.length;
  return left === 0 ? notes : [...notes, `${left} certificates more are not taken up`];
}

export function readAgain(settings: Settings): {
  readonly settings: Settings;
  readonly faults: readonly FileFault[];
} {
  const faults: FileFault[] = [];
  const tell = (all: readonly FileFault[]): void => {
    faults.push(...all);
  };
  const listeners = settings.listeners.map((listener): ListenerSettings => {
    const { tls } = listener;
    return tls === undefined ? listener : { ...listener, tls: listenerAgain(tls, tell) };
  });
  const { tls: before } = settings.admin;
  const again = before && listenerAgain(before, tell);
  // The context is made for the object that says it.
  const ofAdmin = isSame(again, before) ? before : again;
  // Many pools have one authority.
  const read = new Map<string, BackendTlsRead>();
  const pools = settings.pools.map((pool): PoolSettings => {
    if (pool.backendTls === null) return pool;
    const tls = backendAgain(pool.backendTls, read, tell);
    // Contexts are made for the object that says it, and are dear.
    if (isSame(tls, pool.backendTls)) return pool;
    return { ...pool, backendTls: tls, healthCheck: { ...pool.healthCheck, tls } };
  });
  return {
    settings: {
      ...settings,
      admin: { ...settings.admin, tls: ofAdmin },
      listeners: listeners as [ListenerSettings, ...ListenerSettings[]],
      pools: pools as [PoolSettings, ...PoolSettings[]],
    },
    faults: distinct(faults),
  };
}

type Tell = (faults: readonly FileFault[]) => void;

function listenerAgain(tls: TlsSettings, tell: Tell): TlsSettings {
  const certificates = tls.sources.flatMap((source) => {
    const before = tls.certificates.filter((one) => isFrom(one, source));
    const { certificates: now, faults } = readCertificates(source, before);
    tell(faults);
    return withKept(now, before, faults, source);
  });
  return { ...tls, certificates, ...authoritiesAgain(tls, tell) };
}

function authoritiesAgain({ clientCertificates }: TlsSettings, tell: Tell) {
  if (clientCertificates === null) return {};
  const read = readAuthorities(clientCertificates.caFile);
  if ('text' in read) return { clientCertificates: { ...clientCertificates, ca: read.text } };
  tell([{ file: clientCertificates.caFile, message: read.message }]);
  return {};
}

/** The authorities and the certificate of our own are each for itself. */
function backendAgain(
  tls: BackendTlsSettings,
  known: Map<string, BackendTlsRead>,
  tell: Tell,
): BackendTlsSettings {
  const { caFile, certFile, keyFile } = tls;
  const key = [caFile, certFile, keyFile].join('\n');
  const read = known.get(key) ?? readBackendTls(tls);
  known.set(key, read);
  const { ca = tls.ca, pair = tls, faults } = read;
  tell(faults);
  return { ...tls, ca, cert: pair.cert, key: pair.key, facts: pair.facts };
}

function tlsOf({ listeners, admin }: Settings): TlsSettings[] {
  const all = [...listeners, admin];
  return all.flatMap(({ tls }) => (tls === undefined ? [] : [tls]));
}
