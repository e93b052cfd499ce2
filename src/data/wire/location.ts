/**
 * Redirects of a backend to its own address, turned into redirects to the address that the client used. Only the origin of
 * a URL is ever replaced, and only where it is exactly the backend's; and of a backend below a path (`http://h:1/base`), that path
 * is taken off. Whatever else a field says passes as it is.
 */
import { withoutBase } from './base-path.ts';
import { FIELD_FORWARDED_HOST, FIELD_FORWARDED_PROTO, FIELD_LOCATION } from './fields.ts';
import type { ForwardContext } from './forward-request.ts';
import { findField, firstOf, type Head } from './head.ts';
import type { RequestFacts } from './request.ts';
import { isValidHost } from './target.ts';

/** Where a backend is. */
export interface BackendOrigin {
  readonly tls: boolean;
  /** In lower case, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** See `BackendSnapshot`. */
  readonly basePath: string;
}

/** Whose redirects become whose: `https://shop.example`, as the client wrote it. */
export interface RedirectRule {
  readonly backend: BackendOrigin;
  readonly clientOrigin: string;
}

/** Null: they pass as they come. */
export function redirectRule(
  request: { readonly clientOrigin: string },
  backend: BackendOrigin,
): RedirectRule | null {
  const { clientOrigin: origin } = request;
  return origin === '' ? null : { backend, clientOrigin: origin };
}

/** What ends an authority in a URL (RFC 3986 §3.2), and the quotes that a Refresh may have around one. */
const AUTHORITY_END = /[/?#'"]/;
const REFRESH_URL = /^[^=]*[;,][ \t]*url[ \t]*=[ \t]*['"]?/i;

/**
 * The origin that the client used, by what a trusted proxy says if there is one. Empty: it is not known, or redirects are
 * none of our business.
 */
export function clientOrigin(head: Head, facts: RequestFacts, context: ForwardContext): string {
  if (!context.rules.rewritesLocation) return '';
  let { scheme }: { scheme: string } = context;
  let { host } = facts;
  if (context.isTrusted) {
    const proto = firstOf(findField(head, FIELD_FORWARDED_PROTO)).toLowerCase();
    if (proto === 'http' || proto === 'https') scheme = proto;
    const forwardedHost = firstOf(findField(head, FIELD_FORWARDED_HOST));
    if (isValidHost(forwardedHost)) host = forwardedHost;
  }
  return host === null ? '' : `${scheme}://${host}`;
}

/** What a Location or Refresh (`5; url=http://…`) should say in place of what it says; null: it passes as it is. */
export function rewriteRedirect(head: Head, field: number, rule: RedirectRule): string | null {
  const value = head.value(field);
  if (head.id(field) === FIELD_LOCATION) return replaceOrigin(value, 0, rule);
  const start = REFRESH_URL.exec(value);
  return start === null ? null : replaceOrigin(value, start[0].length, rule);
}

function replaceOrigin(value: string, start: number, rule: RedirectRule): string | null {
  const { tls, host, port, basePath } = rule.backend;
  if (basePath !== '' && value[start] === '/') return replacePath(value, start, rule);
  const scheme = tls ? 'https://' : 'http://';
  const authorityStart = start + scheme.length;
  if (value.slice(start, authorityStart).toLowerCase() !== scheme) return null;
  const rest = value.slice(authorityStart);
  const length = rest.search(AUTHORITY_END);
  const authority = (length === -1 ? rest : rest.slice(0, length)).toLowerCase();
  const ownHost = host.includes(':') ? `[${host}]` : host;
  if (!authority.startsWith(ownHost)) return null;
  const portText = authority.slice(ownHost.length);
  const isDefault = port === (tls ? 443 : 80);
  // An empty port is the default one (RFC 3986 §6.2.3).
  const isOwnPort = portText === `:${port}` || (isDefault && (portText === '' || portText === ':'));
  if (!isOwnPort) return null;
  const path = withoutBase(basePath, rest.slice(authority.length));
  return path === null ? null : value.slice(0, start) + rule.clientOrigin + path;
}

/** A redirect without an origin, to a backend below a path. What is left gets one: `//name` would be somebody else's host. */
function replacePath(value: string, start: number, rule: RedirectRule): string | null {
  const path = withoutBase(rule.backend.basePath, value.slice(start));
  return path === null ? null : value.slice(0, start) + rule.clientOrigin + path;
}
