/**
 * The two schemes that authenticate a connection in place of a request: NTLM and Negotiate (RFC 4559 §6). A backend
 * connection on which one of them was seen is for one client only.
 *
 * The Proxy-… forms are between neighbours and never pass (RFC 9110 §11.7), so no backend hears or offers them through us.
 */
import { LOWER } from './bytes.ts';
import { FIELD_WWW_AUTHENTICATE } from './fields.ts';
import type { HeadParser } from './head-parser.ts';

const NTLM = Buffer.from('ntlm', 'latin1');
const NEGOTIATE = Buffer.from('negotiate', 'latin1');
/** Anywhere in a list of challenges: one more connection that is not shared costs less than one that must not be. */
const CHALLENGE = /(?:^|[\s,])(?:ntlm|negotiate)(?:[\s,]|$)/i;

/** Whether the credentials in a field begin with one of them. */
export function isConnectionScheme(
  head: HeadParser,
  buffer: Buffer,
  base: number,
  field: number,
): boolean {
  const start = base + head.valueStart(field);
  const end = base + head.valueEnd(field);
  return beginsWith(buffer, start, end, NTLM) || beginsWith(buffer, start, end, NEGOTIATE);
}

function beginsWith(buffer: Buffer, start: number, end: number, scheme: Buffer): boolean {
  if (end - start < scheme.length) return false;
  for (let index = 0; index < scheme.length; index++) {
    if (LOWER[buffer[start + index] as number] !== scheme[index]) return false;
  }
  return true;
}

/** Whether a response asks for one of them, or goes on with it. */
export function challengesConnection(head: HeadParser, buffer: Buffer, base: number): boolean {
  for (let field = 0; field < head.fieldCount; field++) {
    if (head.ids[field] !== FIELD_WWW_AUTHENTICATE) continue;
    const value = head.text(buffer, base).slice(head.valueStart(field), head.valueEnd(field));
    if (CHALLENGE.test(value)) return true;
  }
  return false;
}
