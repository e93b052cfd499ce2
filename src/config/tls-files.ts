/** The certificate and key that clients are served with: read, and known to fit together before a listener opens. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { describeFileError } from './config-file.ts';
import type { ListenerSettings } from './settings.ts';

export interface TlsFault {
  readonly key: 'cert_file' | 'key_file';
  readonly message: string;
}

export type TlsFilesResult =
  | {
      readonly ok: true;
      readonly tls: NonNullable<ListenerSettings['tls']>;
      readonly notes: readonly string[];
    }
  | { readonly ok: false; readonly faults: readonly TlsFault[] };

/** Whether clients are spoken to in TLS: the files alone say so, too. */
export function speaksTls(ssl: {
  readonly enabled?: boolean | undefined;
  readonly cert_file?: string | undefined;
  readonly key_file?: string | undefined;
}): boolean {
  return ssl.enabled ?? (ssl.cert_file !== undefined || ssl.key_file !== undefined);
}

/** Both paths absolute. Every message names its file; none holds anything of its content. */
export function readTlsFiles(certFile: string, keyFile: string): TlsFilesResult {
  const faults: TlsFault[] = [];
  const read = (key: TlsFault['key'], file: string): string => {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      faults.push({ key, message: `cannot read ${file}: ${describeFileError(error)}` });
      return '';
    }
  };
  const cert = read('cert_file', certFile);
  const key = read('key_file', keyFile);

  let leaf: X509Certificate | undefined;
  let privateKey: KeyObject | undefined;
  if (cert !== '' || faults.every((fault) => fault.key !== 'cert_file')) {
    try {
      // The constructor takes DER too, and a TLS context does not.
      if (!cert.includes('-----BEGIN ')) throw new Error('no PEM');
      leaf = new X509Certificate(cert);
    } catch {
      faults.push({ key: 'cert_file', message: `${certFile} holds no certificate in PEM form` });
    }
  }
  if (key !== '' || faults.every((fault) => fault.key !== 'key_file')) {
    try {
      privateKey = createPrivateKey(key);
    } catch {
      const message = /ENCRYPTED/.test(key)
        ? `${keyFile} is encrypted; Fairlead reads keys without a passphrase only`
        : `${keyFile} holds no private key in PEM form`;
      faults.push({ key: 'key_file', message });
    }
  }
  if (leaf !== undefined && privateKey !== undefined) {
    if (!leaf.checkPrivateKey(privateKey)) {
      faults.push({
        key: 'key_file',
        message: `${keyFile} is not the key of the certificate in ${certFile}`,
      });
    } else {
      const message = contextError(cert, key);
      if (message !== undefined) {
        faults.push({ key: 'cert_file', message: `${certFile} cannot be used: ${message}` });
      }
    }
  }
  if (faults.length > 0 || leaf === undefined) return { ok: false, faults };

  const expiry = new Date(leaf.validTo);
  const notes =
    expiry.getTime() < Date.now()
      ? [`the certificate in ${certFile} expired on ${expiry.toISOString().slice(0, 10)}`]
      : [];
  return { ok: true, tls: { cert, key, certFile, keyFile }, notes };
}

/** What TLS itself finds wrong: a broken chain behind the first certificate, a key too weak to be allowed. */
function contextError(cert: string, key: string): string | undefined {
  try {
    createSecureContext({ cert, key });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
