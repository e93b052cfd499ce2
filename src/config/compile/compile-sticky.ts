/** `sticky`, from the view configuration to `Settings`: what goes with which `by`, and which cookies clients would refuse. */
import type { SessionCookie } from '../../snapshot/snapshot.ts';
import { DEFAULT_POOL, type PoolSettings } from '../settings.ts';
import { compileKey } from './compile-key.ts';
import type { Path, Report } from './policy-report.ts';
import type { PoolView } from './pool-view.ts';

/** The session cookie is called so unless told otherwise. Two pools under one host must not erase each other's. */
function defaultCookieName(pool: string): string {
  return pool === DEFAULT_POOL ? 'fairlead' : `fairlead-${pool}`;
}

const COOKIE_IS_LEARNED = 'is for by: learn; the cookie that Fairlead sets is named by sticky.name';

/** What has a meaning for the cookie that Fairlead sets, and for nothing else. */
const OF_THE_COOKIE = [
  ['secret', 'it signs the cookie'],
  ['same_site', 'it is an attribute of the cookie'],
  ['secure', 'it is an attribute of the cookie'],
  ['domain', 'it is an attribute of the cookie'],
  ['path', 'it is an attribute of the cookie'],
] as const;

export function compileSticky(view: PoolView, report: Report): PoolSettings['sticky'] {
  const { sticky, sticky_session_ttl: ttlMs } = view.config;
  if (!view.isSound('sticky') || !view.isSound('enable_sticky_sessions')) return null;
  if (sticky === false) {
    if (view.isGiven(['sticky_session_ttl'])) {
      report.note('sticky_session_ttl has no effect while enable_sticky_sessions is false');
    }
    return null;
  }
  const { by, secret } = sticky;
  if (by !== 'learn' && sticky.cookie !== undefined) {
    report.problem(['sticky', 'cookie'], COOKIE_IS_LEARNED);
  }
  if (by === undefined) {
    report.problem(['sticky', 'by'], 'is missing: ip, cookie, header, query, learn or socket.io', [
      'sticky',
    ]);
    return null;
  }
  if (by === 'cookie') {
    const key = compileKey(view, report, 'sticky', {
      by,
      name: sticky.name ?? defaultCookieName(view.name),
    });
    const cookie = compileCookie(view, report, key.name, sticky);
    if (sticky.scope === 'global') {
      report.problem(
        ['sticky', 'scope'],
        'has no meaning by cookie: clients carry it to all instances',
      );
    }
    return { key, ttlMs, secret, cookie, learns: null, isShared: false };
  }
  const isShared = sticky.scope === 'global';
  for (const [option, what] of OF_THE_COOKIE) {
    if (sticky[option] === undefined) continue;
    report.problem(['sticky', option], `has no meaning by ${by}: ${what}`);
  }
  if (by === 'learn' || by === 'socket.io') {
    const key = compileLearned(view, report, by, sticky);
    return { key, ttlMs, secret, cookie: null, learns: by === 'learn' ? 'cookie' : by, isShared };
  }
  const key = compileKey(view, report, 'sticky', { by, name: sticky.name });
  return { key, ttlMs, secret, cookie: null, learns: null, isShared };
}

/** What requests are known by once the answers have said it. */
function compileLearned(
  view: PoolView,
  report: Report,
  by: 'learn' | 'socket.io',
  { name, cookie }: { readonly name?: string | undefined; readonly cookie?: string | undefined },
): PoolSettings['hashKey'] {
  if (name !== undefined) {
    const instead = by === 'learn' ? 'sticky.cookie names the cookie' : 'leave it out';
    report.problem(['sticky', 'name'], `has no meaning by ${by}: ${instead}`);
  }
  if (by === 'socket.io') return { by: 'query', name: 'sid' };
  return compileKey(view, report, 'sticky', { by: 'cookie', name: cookie }, 'cookie');
}

interface CookieOptions {
  readonly same_site?: SessionCookie['sameSite'] | undefined;
  readonly secure?: SessionCookie['secure'] | undefined;
  readonly domain?: string | undefined;
  readonly path?: string | undefined;
}

function compileCookie(
  view: PoolView,
  report: Report,
  name: string,
  { same_site: sameSite = 'lax', secure = 'auto', domain = '', path = '/' }: CookieOptions,
): SessionCookie {
  const cookie = { sameSite, secure, domain, path };
  const isHost = /^__Host-/i.test(name);
  // Draft RFC 6265bis §4.1.3: clients refuse a cookie that does not keep what its name promises.
  if (isHost || /^__Secure-/i.test(name)) {
    mustBeSecure(view, report, cookie, ['sticky', 'name'], 'clients take a cookie of such a name');
  }
  if (isHost && domain !== '') {
    report.problem(
      ['sticky', 'domain'],
      'clients refuse a Domain where the name begins with __Host-',
    );
  }
  if (isHost && path !== '/') {
    report.problem(['sticky', 'path'], 'must be / where the name begins with __Host-');
  }
  // And §5.7: SameSite=None is for secure cookies only.
  if (sameSite === 'none') {
    mustBeSecure(view, report, cookie, ['sticky', 'same_site'], 'clients take none');
  }
  return cookie;
}

function mustBeSecure(
  view: PoolView,
  report: Report,
  { secure }: SessionCookie,
  path: Path,
  what: string,
): void {
  if (secure === true) return;
  if (secure === false) {
    report.problem(path, `needs sticky.secure, which is false: ${what} only with Secure`);
  } else if (!view.mayBeAskedByTls) {
    report.problem(
      path,
      `needs TLS (ssl.enabled, or trusted_proxies that speak it), or sticky.secure: true: ${what} only with Secure`,
    );
  }
}
