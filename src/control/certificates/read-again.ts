/** Reads the files of a listener's certificates again: what is good is taken, what is not stays as it was. */

import type { Certificate, CertificateSource } from '../../config/certificate-facts.ts';
import { readAuthorities } from '../../config/compile-tls.ts';
import type { TlsSettings } from '../../config/settings.ts';
import { readCertificates, type TlsFault } from '../../config/tls-files.ts';

export type FileFault = Pick<TlsFault, 'file' | 'message'>;

/** Files and folders. */
export function filesOf({ sources, clientCertificates }: TlsSettings): string[] {
  const files = sources.flatMap((source) =>
    source.kind === 'folder' ? [source.folder] : [source.certFile, source.keyFile],
  );
  return clientCertificates === null ? files : [...files, clientCertificates.caFile];
}

export function readAgain(tls: TlsSettings): {
  readonly tls: TlsSettings;
  readonly faults: readonly FileFault[];
} {
  const faults: FileFault[] = [];
  const certificates = tls.sources.flatMap((source) => {
    const read = readCertificates(source);
    for (const fault of read.faults) faults.push(fault);
    const before = tls.certificates.filter((one) => isFrom(one, source));
    return withKept(read.certificates, before, read.faults, source);
  });
  return { tls: { ...tls, certificates, ...authoritiesAgain(tls, faults) }, faults };
}

/** Of a folder, only what belongs to a broken file stays: who takes a pair out of it wants it gone. */
function withKept(
  now: readonly Certificate[],
  before: readonly Certificate[],
  faults: readonly TlsFault[],
  source: CertificateSource,
): readonly Certificate[] {
  if (faults.length === 0) return now;
  const broken = new Set(faults.map(({ file }) => file));
  const isWholeBroken = source.kind === 'pair' || broken.has(source.folder);
  const kept = before.filter(
    ({ certFile, keyFile, facts }) =>
      (isWholeBroken || broken.has(certFile) || broken.has(keyFile)) &&
      now.every((one) => one.facts.fingerprint !== facts.fingerprint),
  );
  // In their old order, where the first may be the default.
  return [...now, ...kept].toSorted((a, b) => (a.certFile < b.certFile ? -1 : 1));
}

function isFrom({ certFile, keyFile }: Certificate, source: CertificateSource): boolean {
  return source.kind === 'folder'
    ? certFile.startsWith(`${source.folder}/`)
    : certFile === source.certFile && keyFile === source.keyFile;
}

function authoritiesAgain({ clientCertificates }: TlsSettings, faults: FileFault[]) {
  if (clientCertificates === null) return {};
  const read = readAuthorities(clientCertificates.caFile);
  if ('text' in read) return { clientCertificates: { ...clientCertificates, ca: read.text } };
  faults.push({ file: clientCertificates.caFile, message: read.message });
  return {};
}
