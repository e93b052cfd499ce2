/**
 * The path of a route as it is written: `/v1` (a prefix on segment borders), `=/v1` (exactly this), and in both of them
 * `/users/:id/photos` (any whole segment, by a name).
 *
 * A slash at the end of a prefix means nothing, as in the Gateway API: `/v1/` matches `/v1`, too. That of an exact path is
 * one of its characters. What is written is brought into the form that the paths of requests are compared in
 * (data/wire/path.ts), so `/caf%c3%a9`, `/caf%C3%A9` and `/café` are one path, and `/%40me` and `/@me`.
 */
import type { PathMatch, PathSegment } from './route.ts';

/** @returns for a text that is no path, what is wrong with it, as the end of a sentence. */
export function readRoutePath(written: string): PathMatch | string {
  const isExact = written.startsWith('=');
  const text = isExact ? written.slice(1) : written;
  if (!text.startsWith('/')) return 'must begin with "/", or with "=/" for exactly this path';
  const fault = faultOf(text);
  if (fault !== null) return fault;
  const parts = text.slice(1).split('/');
  if (!isExact && parts.at(-1) === '') parts.pop();
  const segments: PathSegment[] = [];
  const names = new Set<string>();
  for (const [index, part] of parts.entries()) {
    if (part.startsWith(':')) {
      const name = part.slice(1);
      if (!/^[a-z_][a-z0-9_]*$/i.test(name)) {
        return `has "${part}" where a name is a letter, then letters, digits and "_", up to the next "/"`;
      }
      if (names.has(name)) return `names two segments "${name}"`;
      names.add(name);
      segments.push({ kind: 'name', name });
      continue;
    }
    const segment = normalSegment(part);
    if (segment === '.' || segment === '..') return 'must not have dot segments';
    const mayBeEmpty = isExact && index === parts.length - 1;
    if (segment === '' && !mayBeEmpty) return 'must not have empty segments';
    segments.push({ kind: 'text', text: segment });
  }
  return { kind: isExact ? 'exact' : 'prefix', segments };
}

/** What no path of a request has by the time it is matched. */
function faultOf(text: string): string | null {
  if (/[?#]/.test(text)) return 'must end before "?" and "#": "query" matches a query';
  if (/\\|%5c|%00/i.test(text)) return 'must not have backslashes or NULs';
  if (/%(?![0-9a-f]{2})/i.test(text)) return 'has a "%" without two hexadecimal digits';
  // Halves of a surrogate pair stand for no character, and can't be encoded.
  if (/[\p{Cc}\p{Cs}]/u.test(text)) return 'must not have control characters';
  return null;
}

/** What no URL has as it is gets encoded; what means the same without a percent sign, decoded: `comparedPath`. */
function normalSegment(part: string): string {
  return part
    .replaceAll(/[^\x21-\x7e]+|["<>^`{|}]/g, (raw) => encodeURIComponent(raw))
    .replaceAll(/%[0-9a-f]{2}/gi, (triplet) => {
      const character = String.fromCharCode(Number.parseInt(triplet.slice(1), 16));
      return /[\w.~!$&'()*+,=:@[\]-]/.test(character) ? character : triplet.toUpperCase();
    });
}
