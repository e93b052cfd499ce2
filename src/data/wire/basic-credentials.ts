/** The name and the password in a request (RFC 7617), as bytes. */
import { FIELD_AUTHORIZATION } from './fields.ts';
import type { Head } from './head.ts';

export interface BasicCredentials {
  /** Bytes as Latin-1 text, as the password. */
  readonly user: string;
  readonly password: string;
}

const SCHEME = /^basic +(\S+)$/i;
/** Of the whole field: nobody's password is longer, and each byte costs. */
const MOST_CHARACTERS = 4096;

/**
 * Null where there are none, or where two readers could find two: more than one field, or base64 that is written otherwise than
 * RFC 4648 §4 and §3.5 have it.
 */
export function basicCredentials(head: Head): BasicCredentials | null {
  let only = -1;
  for (let field = 0; field < head.fieldCount; field++) {
    if (head.id(field) !== FIELD_AUTHORIZATION) continue;
    if (only !== -1) return null;
    only = field;
  }
  if (only === -1 || head.valueLength(only) > MOST_CHARACTERS) return null;
  const written = SCHEME.exec(head.value(only))?.[1];
  if (written === undefined) return null;
  const bytes = Buffer.from(written, 'base64');
  if (bytes.toString('base64') !== written) return null;
  const text = bytes.toString('latin1');
  const colon = text.indexOf(':');
  return colon === -1 ? null : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
