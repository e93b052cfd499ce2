/**
 * Request targets and hosts (RFC 9112 §3.2, RFC 3986 §3.2.2).
 *
 * The path and query are taken exactly as they were sent, and forwarded so where no route looks at paths. Where one does, they
 * are brought into one form first: see path.ts.
 */
import { HEX, HOST_NAME } from './bytes.ts';

export interface ParsedTarget {
  /** What goes to the backend: origin form, or `*`. */
  readonly path: string;
  /** The authority of an absolute-form target: it replaces the Host field (RFC 9112 §3.2.2). */
  readonly authority: string | null;
}

/**
 * @param target visible ASCII without `#`, as the head parser lets through.
 * @returns null for a form that the method does not allow, or a malformed authority.
 */
export function parseTarget(method: string, target: string): ParsedTarget | null {
  if (target.charCodeAt(0) === 0x2f) return { path: target, authority: null };
  if (target === '*') return method === 'OPTIONS' ? { path: '*', authority: null } : null;
  const schemeEnd = target.indexOf('://');
  if (schemeEnd === -1) return null;
  const scheme = target.slice(0, schemeEnd).toLowerCase();
  if (scheme !== 'http' && scheme !== 'https') return null;
  const authorityStart = schemeEnd + 3;
  let authorityEnd = authorityStart;
  while (authorityEnd < target.length) {
    const character = target.charCodeAt(authorityEnd);
    if (character === 0x2f || character === 0x3f) break;
    authorityEnd++;
  }
  const authority = target.slice(authorityStart, authorityEnd);
  if (!isValidHost(authority)) return null;
  const rest = target.slice(authorityEnd);
  if (rest === '') return { path: method === 'OPTIONS' ? '*' : '/', authority };
  return { path: rest.startsWith('?') ? `/${rest}` : rest, authority };
}

/** Whether `text` is `uri-host [":" port]` with a host that is not empty (RFC 9110 §4.2.1, §7.2). */
export function isValidHost(text: string): boolean {
  let position = 0;
  const length = text.length;
  if (length === 0) return false;
  if (text.charCodeAt(0) === 0x5b) {
    position = text.indexOf(']') + 1;
    if (position === 0 || !isAddressLiteral(text, 1, position - 1)) return false;
  } else {
    while (position < length) {
      const character = text.charCodeAt(position);
      if (character > 0x7f || HOST_NAME[character] !== 1) break;
      if (character === 0x25 && !isPercentTriplet(text, position)) return false;
      position++;
    }
    if (position === 0) return false;
  }
  if (position === length) return true;
  if (text.charCodeAt(position) !== 0x3a) return false;
  position++;
  // An empty port is allowed by the grammar; one that no address can have is not.
  let port = 0;
  for (; position < length; position++) {
    const digit = text.charCodeAt(position) - 0x30;
    if (digit < 0 || digit > 9) return false;
    port = port * 10 + digit;
    if (port > 65535) return false;
  }
  return true;
}

function isPercentTriplet(text: string, position: number): boolean {
  const high = text.charCodeAt(position + 1);
  const low = text.charCodeAt(position + 2);
  return HEX[high] !== undefined && HEX[low] !== undefined && HEX[high] < 16 && HEX[low] < 16;
}

/** Characters only: hexadecimal digits, colons, dots. Whether it is an address is the backend's business. */
function isAddressLiteral(text: string, start: number, end: number): boolean {
  if (end - start < 2) return false;
  for (let position = start; position < end; position++) {
    const character = text.charCodeAt(position);
    const isHex = character < 0x80 && (HEX[character] as number) < 16;
    if (!isHex && character !== 0x3a && character !== 0x2e) return false;
  }
  return true;
}
