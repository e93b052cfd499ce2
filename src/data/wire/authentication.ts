/**
 * The two schemes that authenticate a connection in place of a request: NTLM and Negotiate (RFC 4559 §6). A backend
 * connection on which one of them was seen is for one client only.
 *
 * The Proxy-… forms are between neighbours and never pass (RFC 9110 §11.7), so no backend hears or offers them through us.
 */
import { LOWER } from './bytes.ts';
import { FIELD_WWW_AUTHENTICATE } from './fields.ts';
import type { Head } from './head.ts';

const NTLM = 'ntlm';
const NEGOTIATE = 'negotiate';
/** Anywhere in a list of challenges: one more connection that is not shared costs less than one that must not be. */
const CHALLENGE = /(?:^|[\s,])(?:ntlm|negotiate)(?:[\s,]|$)/i;

/** Whether the credentials in a field begin with one of them. */
export function isConnectionScheme(head: Head, field: number): boolean {
  return beginsWith(head, field, NTLM) || beginsWith(head, field, NEGOTIATE);
}

function beginsWith(head: Head, field: number, scheme: string): boolean {
  if (head.valueLength(field) < scheme.length) return false;
  for (let index = 0; index < scheme.length; index++) {
    if (LOWER[head.valueCode(field, index)] !== scheme.charCodeAt(index)) return false;
  }
  return true;
}

/** Whether a response asks for one of them, or goes on with it. */
export function challengesConnection(head: Head): boolean {
  for (let field = 0; field < head.fieldCount; field++) {
    if (head.id(field) !== FIELD_WWW_AUTHENTICATE) continue;
    if (CHALLENGE.test(head.value(field))) return true;
  }
  return false;
}
