/** What a Set-Cookie field does to a cookie, as a client reads it (RFC 6265 §5.2). */
import { dropSpace, skipSpace } from './white-space.ts';

/** In place of a value: the cookie is gone. No value is empty. */
export const DELETED = '';

const QUOTE = '"';

/**
 * @param field the value of one Set-Cookie field
 * @param nowMs of the wall clock
 * @returns null where it is about another cookie; `DELETED` where it has no value, or one whose time is over already.
 */
export function setCookieValue(field: string, name: string, nowMs: number): string | null {
  const pairEnd = endOf(field, ';', 0);
  const equals = field.indexOf('=');
  if (equals === -1 || equals > pairEnd || trimmed(field, 0, equals) !== name) return null;
  const value = withoutQuotes(trimmed(field, equals + 1, pairEnd));
  return value === '' || isOver(field, pairEnd + 1, nowMs) ? DELETED : value;
}

/** Some send a value with its quotes back, and some without. */
export function withoutQuotes(value: string): string {
  const isQuoted = value.length > 1 && value.startsWith(QUOTE) && value.endsWith(QUOTE);
  return isQuoted ? value.slice(1, -1) : value;
}

/** Of several attributes of a name the last counts, and Max-Age before Expires (RFC 6265 §5.3). */
function isOver(field: string, start: number, nowMs: number): boolean {
  let maxAge: boolean | null = null;
  let expires: boolean | null = null;
  let position = start;
  while (position < field.length) {
    const end = endOf(field, ';', position);
    const equals = endOf(field, '=', position);
    if (equals < end) {
      const attribute = trimmed(field, position, equals).toLowerCase();
      const value = trimmed(field, equals + 1, end);
      if (attribute === 'max-age' && /^-?\d+$/.test(value)) {
        maxAge = value.startsWith('-') || Number(value) === 0;
      } else if (attribute === 'expires') {
        // What is no date is no attribute: neither comparison holds for NaN.
        const atMs = Date.parse(value);
        if (atMs <= nowMs) expires = true;
        else if (atMs > nowMs) expires = false;
      }
    }
    position = end + 1;
  }
  return maxAge ?? expires ?? false;
}

/** Where that character is next, or the end. */
function endOf(text: string, character: string, from: number): number {
  const at = text.indexOf(character, from);
  return at === -1 ? text.length : at;
}

function trimmed(text: string, from: number, to: number): string {
  const start = skipSpace(text, from, to);
  return text.slice(start, dropSpace(text, start, to));
}
