/**
 * The certificate that a client has shown: whether it is good, and what backends are told of it.
 *
 * It goes into fields of a request's head, so whatever is in it must stay in its line: names are escaped as RFC 4514 has it, and
 * beyond that down to visible ASCII. Who it is for is said only of a certificate that is good.
 */
import type { PeerCertificate } from 'node:tls';

/** Of a connection on which certificates are asked for. */
export interface ClientIdentity {
  /** Lines of a request's head. */
  readonly fields: string;
  /** Why the certificate is not good; null: it is, or there is none. */
  readonly fault: string | null;
}

/**
 * @param certificate undefined, or without any content: there is none.
 * @param error what is wrong with it; null: nothing.
 */
export function identityOf(
  certificate: Partial<PeerCertificate> | undefined,
  error: Error | null,
): ClientIdentity {
  if (!isShown(certificate)) {
    return { fields: 'X-SSL-Client-Verify: NONE\r\n', fault: null };
  }
  if (error !== null) {
    const { code = error.message } = error as NodeJS.ErrnoException;
    const fault = escape(code);
    return { fields: `X-SSL-Client-Verify: FAILED:${fault}\r\n`, fault };
  }
  const { subject, issuer, serialNumber, fingerprint256, valid_to: until } = certificate;
  const fields =
    'X-SSL-Client-Verify: SUCCESS\r\n' +
    `X-SSL-Client-Subject: ${distinguishedName(subject)}\r\n` +
    `X-SSL-Client-Issuer: ${distinguishedName(issuer)}\r\n` +
    `X-SSL-Client-Serial: ${serialNumber.toLowerCase()}\r\n` +
    `X-SSL-Client-Fingerprint: ${fingerprint256.replaceAll(':', '').toLowerCase()}\r\n` +
    `X-SSL-Client-Not-After: ${new Date(until).toISOString()}\r\n`;
  return { fields, fault: null };
}

function isShown(
  certificate: Partial<PeerCertificate> | undefined,
): certificate is PeerCertificate {
  return certificate?.raw !== undefined;
}

/** RFC 4514: the last part first, as nginx and HAProxy write it. */
function distinguishedName(name: object): string {
  return Object.entries(name as Readonly<Record<string, string | readonly string[]>>)
    .flatMap(([type, value]) =>
      (Array.isArray(value) ? value : [value]).map(
        (one) => `${escape(type)}=${escape(String(one))}`,
      ),
    )
    .toReversed()
    .join(',');
}

/** RFC 4514 §2.4; what is not visible ASCII as the hexadecimal digits of its bytes in UTF-8. */
function escape(value: string): string {
  let text = '';
  for (const character of value) {
    if (',+"\\<>;='.includes(character)) text += `\\${character}`;
    else if (character >= ' ' && character <= '~') text += character;
    else {
      for (const byte of Buffer.from(character))
        text += `\\${byte.toString(16).padStart(2, '0').toUpperCase()}`;
    }
  }
  return text.replace(/^[ #]/, '\\$&').replace(/(?<!\\) $/, '\\ ');
}
