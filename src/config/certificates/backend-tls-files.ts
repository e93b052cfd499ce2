/** The files of TLS to the backends of a pool: read, and known to be usable. Each message names its file. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { BackendTlsSettings } from '../settings.ts';
import { certificatesIn, readPem } from './pem.ts';
import { notesOnExpiry, readCertificates } from './tls-files.ts';

/** Absolute, or empty. */
export type BackendTlsFiles = Pick<BackendTlsSettings, 'caFile' | 'certFile' | 'keyFile'>;

export interface BackendTlsFault {
  readonly key: 'ca_file' | 'cert_file' | 'key_file';
  readonly file: string;
  readonly message: string;
}

/** What is undefined can't be used, and why is among the faults. */
export interface BackendTlsRead {
  readonly ca: string | undefined;
  readonly pair: Pick<BackendTlsSettings, 'cert' | 'key' | 'facts'> | undefined;
  readonly faults: readonly BackendTlsFault[];
  readonly notes: readonly string[];
}

export function readBackendTls({ caFile, certFile, keyFile }: BackendTlsFiles): BackendTlsRead {
  const faults: BackendTlsFault[] = [];
  const notes: string[] = [];
  let pair: BackendTlsRead['pair'] = { cert: '', key: '', facts: null };
  if (certFile !== '') {
    const read = readCertificates({ kind: 'pair', certFile, keyFile });
    for (const { key, file, message } of read.faults) {
      faults.push({ key: key === 'folder' ? 'cert_file' : key, file, message });
    }
    [pair] = read.certificates;
    notes.push(...read.certificates.flatMap(notesOnExpiry));
  }
  const authorities = caFile === '' ? { text: '', notes: [] } : readAuthorities(caFile);
  if ('message' in authorities) {
    faults.push({ key: 'ca_file', file: caFile, message: authorities.message });
    return { ca: undefined, pair, faults, notes };
  }
  return { ca: authorities.text, pair, faults, notes: [...notes, ...authorities.notes] };
}

function readAuthorities(
  file: string,
): { readonly text: string; readonly notes: readonly string[] } | { readonly message: string } {
  const read = readPem('cert_file', file);
  if ('fault' in read) return read.fault;
  const { text } = read;
  const certificates = certificatesIn(text);
  if (certificates.length === 0) return { message: `${file} holds no certificate in PEM form` };
  const notes: string[] = [];
  for (const [index, pem] of certificates.entries()) {
    let until: number;
    try {
      until = Date.parse(new X509Certificate(pem).validTo);
    } catch {
      const which = `certificate ${index + 1} of ${certificates.length}`;
      return { message: `${which} in ${file} cannot be read` };
    }
    // A bundle of a system always has some.
    if (certificates.length === 1 && until < Date.now()) {
      const day = new Date(until).toISOString().slice(0, 10);
      notes.push(`the certificate in ${file} expired on ${day}: no backend can be verified by it`);
    }
  }
  try {
    createSecureContext({ ca: text });
  } catch (error) {
    return { message: `${file} cannot be used: ${(error as Error).message}` };
  }
  return { text, notes };
}
