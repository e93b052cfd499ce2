/**
 * A broken file in a folder of certificates costs what is in it, and not all that is served or wanted: of the rest everything is
 * taken up, and what was in use from that file stays.
 */
import path from 'node:path';
import type { Certificate, CertificateSource } from './certificate-facts.ts';
import type { TlsFault } from './pem.ts';

/** What of a file can't be used, though all the rest is. */
export type FileFault = Pick<TlsFault, 'file' | 'message'>;

/** Of a folder, only what belongs to a broken file stays: who takes a pair out of it wants it gone. */
export function withKept(
  now: readonly Certificate[],
  before: readonly Certificate[],
  faults: readonly FileFault[],
  source: CertificateSource,
): readonly Certificate[] {
  if (faults.length === 0) return now;
  const broken = new Set(faults.map(({ file }) => file));
  const isWholeBroken = source.kind === 'pair' || broken.has(source.folder);
  const isBroken = (file: string): boolean => broken.has(file) || broken.has(path.dirname(file));
  const kept = before.filter(
    ({ certFile, keyFile, facts }) =>
      (isWholeBroken || isBroken(certFile) || isBroken(keyFile)) &&
      now.every((one) => one.facts.fingerprint !== facts.fingerprint),
  );
  if (kept.length === 0) return now;
  // Several listeners may have it in use.
  const once = new Map(kept.map((one) => [one.facts.fingerprint, one]));
  // In their old order, where the first may be the default.
  return [...now, ...once.values()].toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
}

/** Each once, though several listeners may have the folder. */
export function distinct(faults: readonly FileFault[]): readonly FileFault[] {
  return [...new Map(faults.map(({ file, message }) => [message, { file, message }])).values()];
}

/** As folders are read: `shop.test/` before `shop.test-2/`. */
function placeOf({ certFile }: Certificate): string {
  return certFile.replaceAll('/', '\0');
}

export function isFrom({ certFile, keyFile }: Certificate, source: CertificateSource): boolean {
  return source.kind === 'folder'
    ? certFile.startsWith(`${source.folder}/`)
    : certFile === source.certFile && keyFile === source.keyFile;
}
