/** Optional white space around a part of a field (RFC 9110 §5.6.3). */
import { HTAB, SP } from './bytes.ts';

/** Where `text[start, end)` begins without the space before it. */
export function skipSpace(text: string, start: number, end: number): number {
  let position = start;
  while (position < end && isSpace(text.charCodeAt(position))) position++;
  return position;
}

/** Where it ends without the space behind it. */
export function dropSpace(text: string, start: number, end: number): number {
  let position = end;
  while (position > start && isSpace(text.charCodeAt(position - 1))) position--;
  return position;
}

function isSpace(code: number): boolean {
  return code === SP || code === HTAB;
}
