/**
 * The path that a backend has in its URL: before that of a request on the way there, and off again from redirects on the way
 * back. It is put before a path in normal form only (path.ts): none leads out of it.
 */
import type { ForwardedRequest } from './forward-request.ts';

const PATH_END = /^[/?#'"]/;

/**
 * The same request for what is below `basePath`. `OPTIONS *` is about the server as a whole.
 * @param path that of the request, in normal form: it takes the place of the one that stands there.
 */
export function below(
  basePath: string,
  path: string,
  { startLine, fields, needsHost }: ForwardedRequest,
): ForwardedRequest {
  if (startLine !== '')
    return { startLine: withTarget(startLine, basePath + path), fields, needsHost };
  // The line that came stands there, where nothing of it had to be changed.
  return { startLine, fields: withTarget(fields, basePath + path), needsHost };
}

/** @param text begins with a request line. */
function withTarget(text: string, target: string): string {
  const at = text.indexOf(' ') + 1;
  return text[at] === '/' ? text.slice(0, at) + target + text.slice(text.indexOf(' ', at)) : text;
}

/** @param path and what follows it. @returns the same as seen from below `basePath`; null: it is not there. */
export function withoutBase(basePath: string, path: string): string | null {
  if (basePath === '') return path;
  if (!path.startsWith(basePath)) return null;
  const rest = path.slice(basePath.length);
  if (rest.startsWith('/')) return rest;
  return rest === '' || PATH_END.test(rest) ? `/${rest}` : null;
}
