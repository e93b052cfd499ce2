/**
 * The part of a request that a policy goes by: to which backend a client is tied, whose allowance a request is taken from.
 *
 * Compared byte for byte, as it was sent: nothing is decoded or unquoted, so `?a=%41` and `?a=A` are two keys. Whoever
 * decodes has a second reading of a request beside the backend's, and a client that wants to be one client can spell
 * itself one way.
 */
import { SEMICOLON } from './bytes.ts';
import { FIELD_COOKIE } from './fields.ts';
import type { Head } from './head.ts';
import { dropSpace, skipSpace } from './white-space.ts';

/** As `RequestKey` of the snapshot. */
export interface KeyPart {
  readonly by: 'ip' | 'header' | 'cookie' | 'query' | 'path';
  /** Of the header field (lower case), the cookie or the query parameter. */
  readonly name: string;
}

const AMPERSAND = 0x26;
const EQUALS = 0x3d;
const QUESTION_MARK = 0x3f;

/** Says which of several cookies of one name is meant: those of other paths and domains come along. */
export interface KeyChoice {
  isKnown(key: string): boolean;
}

/** Cookies of one name that are looked at: more than any client keeps, and fewer than a head has room for. */
const MAX_CHOICES = 16;

/**
 * @param path of the request, in origin form with its query, or `*`: see `RequestFacts.path`.
 * @param choice of several cookies of the name, the first that is known is taken; without one, or when none is, the first.
 * @returns null where the request lacks the part or it is empty, and for `ip`, which no head tells.
 */
export function requestKey(
  part: KeyPart,
  head: Head,
  path: string,
  choice: KeyChoice | null = null,
): string | null {
  switch (part.by) {
    case 'header':
      return headerValue(head, part.name);
    case 'cookie':
      return cookieValue(head, part.name, choice);
    case 'query':
      return queryValue(path, part.name);
    case 'path':
      return pathWithoutQuery(path);
    default:
      return null;
  }
}

/** The first field of that name decides: a list over several lines is not joined. */
function headerValue(head: Head, name: string): string | null {
  for (let field = 0; field < head.fieldCount; field++) {
    if (!head.isNamed(field, name)) continue;
    return head.valueLength(field) === 0 ? null : head.value(field);
  }
  return null;
}

/**
 * The first cookie of that name that is known, or the first at all, in any of the Cookie fields (HTTP/2 clients send
 * several: RFC 9113 §8.2.3). Names are told apart by case and quotes are part of a value (RFC 6265 §4.1.1, §5.4).
 */
function cookieValue(head: Head, name: string, choice: KeyChoice | null): string | null {
  let first: string | null = null;
  let seen = 0;
  for (let field = 0; field < head.fieldCount; field++) {
    if (head.id(field) !== FIELD_COOKIE) continue;
    const text = head.value(field);
    const end = text.length;
    let start = 0;
    while (start < end) {
      const pairEnd = indexOf(text, SEMICOLON, start, end);
      const pairStart = skipSpace(text, start, pairEnd);
      if (isPairOf(text, pairStart, pairEnd, name)) {
        const valueStart = skipSpace(text, pairStart + name.length + 1, pairEnd);
        const value = filled(text, valueStart, dropSpace(text, valueStart, pairEnd));
        if (choice === null || (value !== null && choice.isKnown(value))) return value;
        first ??= value;
        if (++seen === MAX_CHOICES) return first;
      }
      start = pairEnd + 1;
    }
  }
  return first;
}

/** The first parameter of that name (`application/x-www-form-urlencoded` as it stands, pairs between `&`). */
export function queryValue(path: string, name: string): string | null {
  let start = indexOf(path, QUESTION_MARK, 0, path.length) + 1;
  while (start < path.length) {
    const end = indexOf(path, AMPERSAND, start, path.length);
    if (isPairOf(path, start, end, name)) return filled(path, start + name.length + 1, end);
    start = end + 1;
  }
  return null;
}

function pathWithoutQuery(path: string): string | null {
  return filled(path, 0, indexOf(path, QUESTION_MARK, 0, path.length));
}

/** Whether `text[start, end)` is `name=` and anything. */
function isPairOf(text: string, start: number, end: number, name: string): boolean {
  const equals = start + name.length;
  return equals < end && text.charCodeAt(equals) === EQUALS && text.startsWith(name, start);
}

/** Where that character is first, or `end`. */
function indexOf(text: string, character: number, start: number, end: number): number {
  let position = start;
  while (position < end && text.charCodeAt(position) !== character) position++;
  return position;
}

function filled(text: string, start: number, end: number): string | null {
  return start < end ? text.slice(start, end) : null;
}
