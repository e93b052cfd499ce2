/**
 * The one reading of a path, where routes look at paths: what comes out is what is matched, forwarded and logged, so that
 * no route is passed by another spelling of the same path (CVE-2026-55602), and no request leads out of the path of its backend.
 * Where no route looks at paths, and no backend has one, nobody calls this, and they are forwarded byte for byte.
 *
 * - Unreserved characters are decoded and other triplets get upper-case digits: by RFC 3986 §6.2.2 that changes nothing
 *   about which resource is meant. Nothing else is decoded, and nothing twice: `%2B` is not `+` to every server, `%252e`
 *   is a name with a percent sign.
 * - What no path may hold as it is (`{`, `|`: RFC 3986 §2) is encoded, as browsers do it.
 * - Then empty segments are merged, as nginx does, and dot segments are resolved (RFC 3986 §5.2.4). One that would lead
 *   above the root is refused, as by nginx: it is clamped in references, which clients resolve before they ask.
 * - Refused is what backends are known to read differently: an encoded slash, backslash or NUL, a bare backslash, a percent
 *   sign without two digits, and a dot segment with a parameter (`/..;/`: Tomcat resolves it, others take it for a name).
 *
 * The query is left alone.
 *
 * Routes compare a path in one form more, see `comparedPath`.
 */
import { HEX } from './bytes.ts';

export interface PathRules {
  /**
   * `%2F` and `%5C` pass, as a part of the segment they are in. A dot segment between two of them is refused nevertheless:
   * a backend that decodes would resolve it.
   */
  readonly keepsEncodedSlashes: boolean;
  /** `/a//b` is `/a/b`. */
  readonly mergesSlashes: boolean;
}

const PERCENT = 0x25;
const DOT = 0x2e;
const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;
const BACKSLASH = 0x5c;
const LOWER_A = 0x61;
const LOWER_Z = 0x7a;

/** What is allowed in a path neither by itself (RFC 3986 §3.3) nor as a delimiter, and is let through in targets. */
const ILLEGAL = /["<>^`{|}]/g;
const IS_ILLEGAL = bytesIn('"<>^`{|}');

/**
 * @param path in origin form with its query, or `*`: see `RequestFacts.path`.
 * @returns the same string where there is nothing to do; null for a path to refuse.
 */
export function normalPath(path: string, rules: PathRules): string | null {
  let afterSlash = -1;
  for (let position = 0; position < path.length; position++) {
    const code = path.charCodeAt(position);
    // Nearly all of a path.
    if (code >= LOWER_A && code <= LOWER_Z) continue;
    if (code === SLASH) {
      if (position === afterSlash) return rewritten(path, rules);
      afterSlash = position + 1;
    } else if (code === DOT) {
      if (position === afterSlash) return rewritten(path, rules);
    } else if (code === PERCENT || code === BACKSLASH) {
      return rewritten(path, rules);
    } else if (code === QUESTION_MARK) {
      break;
    } else if (IS_ILLEGAL[code] === 1) {
      return rewritten(path, rules);
    }
  }
  return path;
}

function bytesIn(text: string): Uint8Array {
  const table = new Uint8Array(256);
  for (const byte of Buffer.from(text, 'latin1')) table[byte] = 1;
  return table;
}

function rewritten(path: string, rules: PathRules): string | null {
  const mark = path.indexOf('?');
  const end = mark === -1 ? path.length : mark;
  const legal = path
    .slice(0, end)
    .replaceAll(ILLEGAL, (character) => encodeURIComponent(character));
  const decoded = decodeUnreserved(legal, rules.keepsEncodedSlashes);
  if (decoded === null) return null;
  const resolved = resolveSegments(decoded, rules.mergesSlashes);
  return resolved === null ? null : resolved + path.slice(end);
}

/** @returns null for what is refused. */
function decodeUnreserved(text: string, keepsSlashes: boolean): string | null {
  if (text.includes('\\')) return null;
  let decoded = '';
  let start = 0;
  let at = text.indexOf('%');
  while (at !== -1) {
    const byte = byteAt(text, at);
    if (byte <= 0) return null;
    if ((byte === SLASH || byte === BACKSLASH) && !keepsSlashes) return null;
    decoded += text.slice(start, at);
    decoded += isUnreserved(byte)
      ? String.fromCharCode(byte)
      : text.slice(at, at + 3).toUpperCase();
    start = at + 3;
    at = text.indexOf('%', start);
  }
  return decoded + text.slice(start);
}

/**
 * As routes compare a path: characters that are delimiters of nothing within a segment are decoded, so that `/%40me` goes where
 * `/@me` goes. Most servers take both for the same, some do not (RFC 3986 §2.2), so what is forwarded keeps its spelling.
 * `;` is left: it begins a parameter, `%3B` does not.
 * @param path in normal form. @returns the same string where there is nothing to do.
 */
export function comparedPath(path: string): string {
  const mark = path.indexOf('?');
  const end = mark === -1 ? path.length : mark;
  let compared = '';
  let start = 0;
  for (let at = path.indexOf('%'); at !== -1 && at < end; at = path.indexOf('%', at + 1)) {
    const byte = byteAt(path, at);
    if (byte === -1 || IS_COMPARED_DECODED[byte] !== 1) continue;
    compared += path.slice(start, at) + String.fromCharCode(byte);
    start = at + 3;
  }
  return start === 0 ? path : compared + path.slice(start);
}

/** Of RFC 3986 `sub-delims`, `:` and `@` all but `;`; and brackets, which many clients send as they are. */
const IS_COMPARED_DECODED = bytesIn("!$&'()*+,=:@[]");

/** That the triplet at `at` stands for, or −1. */
function byteAt(text: string, at: number): number {
  if (at + 2 >= text.length) return -1;
  const high = HEX[text.charCodeAt(at + 1)] as number;
  const low = HEX[text.charCodeAt(at + 2)] as number;
  return high < 16 && low < 16 ? high * 16 + low : -1;
}

/** RFC 3986 §2.3. */
function isUnreserved(byte: number): boolean {
  const lower = byte | 0x20;
  return (
    (lower >= 0x61 && lower <= 0x7a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2d ||
    byte === DOT ||
    byte === 0x5f ||
    byte === 0x7e
  );
}

/** A dot segment with a parameter, or one at the edge of an encoded slash. */
const HIDDEN_DOTS = /^\.{1,2};|(?:^|%2F|%5C)\.{1,2}(?:;|%2F|%5C)|(?:%2F|%5C)\.{1,2}$/;

/** @returns null for what is refused. */
function resolveSegments(path: string, mergesSlashes: boolean): string | null {
  const segments = path.split('/');
  const last = segments.length - 1;
  const resolved: string[] = [];
  // The path begins with a slash: the first is empty.
  for (let index = 1; index <= last; index++) {
    const segment = segments[index] as string;
    const isDots = segment === '.' || segment === '..';
    if (segment === '..') {
      if (resolved.length === 0) return null;
      resolved.pop();
    }
    if (isDots || segment === '') {
      // RFC 3986 §5.2.4: what a dot segment at the end means is a folder.
      if (index === last) resolved.push('');
      else if (!isDots && !mergesSlashes) resolved.push('');
    } else if (segment.includes('.') && HIDDEN_DOTS.test(segment)) {
      return null;
    } else {
      resolved.push(segment);
    }
  }
  return `/${resolved.join('/')}`;
}
