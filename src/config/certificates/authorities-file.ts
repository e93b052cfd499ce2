/** Files of authorities: whose certificates are good. */
import { X509Certificate } from 'node:crypto';
import { readPem, type TlsFault } from './pem.ts';

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
