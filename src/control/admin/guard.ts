/**
 * Who may call the admin API.
 *
 * It listens on loopback without a token, so whatever runs on this machine may call it, and a browser runs pages of
 * strangers. A page can send requests here, but it can't forge Origin or Sec-Fetch-Site, and a name it had rebound to 127.0.0.1
 * shows in Host: all are checked. With tokens the token decides.
 */
import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIPv4, isIPv6 } from 'node:net';
import { type AdminRole, CONFIG_TOKEN_NAME, digestOf } from '../../config/read/admin-token.ts';
import type { AdminSettings } from '../../config/settings.ts';
import type { Logger } from '../../observe/logger.ts';
import { ProblemError } from './problem.ts';
import { TokenAttempts } from './token-attempts.ts';

export type AccessRules = Pick<AdminSettings, 'host' | 'unix' | 'token' | 'tokens' | 'rates'>;

export interface GuardOptions {
  /** Those in force: a reload may bring others. */
  readonly access: () => AccessRules;
  readonly log: Logger;
  /** In ms; never goes back. */
  readonly now?: () => number;
}

export interface Caller {
  readonly role: AdminRole;
  /** The name of the token that it has shown; undefined: none is asked for. */
  readonly token: string | undefined;
  /** Whether it would be let in now: its token may have been taken back. */
  readonly isStillGood: () => boolean;
}

/** @throws ProblemError 400, 401, 403 or 429 */
export type Guard = (request: IncomingMessage) => Caller;

interface Credential {
  readonly name: string;
  readonly role: AdminRole;
  readonly digest: Buffer;
}

export function createGuard({ access, log, now }: GuardOptions): Guard {
  const attempts = new TokenAttempts({ log, ...(now && { now }) });
  let rules: AccessRules | undefined;
  let credentials: readonly Credential[] | null = null;

  /** Null: no token is asked for. */
  function credentialsNow(): readonly Credential[] | null {
    const current = access();
    if (current !== rules) credentials = credentialsOf(current);
    rules = current;
    return credentials;
  }

  return (request) => {
    refuseAmbiguous(request);
    refusePages(request);
    const known = credentialsNow();
    if (known === null) {
      const { host, unix } = access();
      // No name leads a browser to a socket.
      if (unix === null) refuseForeignHost(request, host);
      return { role: 'operator', token: undefined, isStillGood: () => credentialsNow() === null };
    }
    const shown = shownToken(request);
    const digest = digestOf(shown);
    const from = request.socket.remoteAddress ?? '';
    attempts.check(from, digest);
    const credential = findCredential(known, digest);
    attempts.note(from, digest, credential !== undefined);
    if (credential === undefined) throw unauthorized('This is no token of this instance.');
    const { name, role } = credential;
    const isStillGood = (): boolean => {
      const found = findCredential(credentialsNow() ?? [], digest);
      return found?.name === name && found.role === role;
    };
    return { role, token: name, isStillGood };
  };
}

function credentialsOf({ token, tokens }: AccessRules): readonly Credential[] | null {
  if (token === undefined && tokens === null) return null;
  const named = tokens?.tokens ?? [];
  return [
    ...named.map(({ name, role, digest }) => ({ name, role, digest: Buffer.from(digest, 'hex') })),
    ...(token === undefined
      ? []
      : [{ name: CONFIG_TOKEN_NAME, role: 'operator' as const, digest: digestOf(token) }]),
  ];
}

/** All are compared, each in constant time: nothing about a token, or about which one it is, leaks through the clock. */
function findCredential(known: readonly Credential[], digest: Buffer): Credential | undefined {
  let found: Credential | undefined;
  for (const one of known) {
    if (timingSafeEqual(one.digest, digest)) found = one;
  }
  return found;
}

/** @throws ProblemError 401 */
function shownToken({ headers: { authorization } }: IncomingMessage): string {
  const [, shown] = /^bearer +(\S+) *$/i.exec(authorization ?? '') ?? [];
  if (shown !== undefined) return shown;
  throw unauthorized(
    authorization === undefined
      ? 'This call needs a token.'
      : 'Authorization holds no Bearer token.',
  );
}

function unauthorized(detail: string): ProblemError {
  return new ProblemError(401, 'ERR_UNAUTHORIZED', detail, {
    hint: 'send Authorization: Bearer TOKEN, with one of admin.tokens_file or admin.token',
    headers: { 'WWW-Authenticate': 'Bearer realm="fairlead"' },
  });
}

const ONCE: ReadonlySet<string> = new Set(['host', 'authorization', 'origin']);

/** Node takes the first of two fields; a proxy in front may have looked at the other. @throws ProblemError 400 */
function refuseAmbiguous({ rawHeaders }: IncomingMessage): void {
  const seen = new Set<string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    if (!ONCE.has(name)) continue;
    if (seen.has(name)) {
      throw new ProblemError(400, 'ERR_BAD_REQUEST', `The field ${name} is there more than once.`);
    }
    seen.add(name);
  }
}

/** @throws ProblemError 403 */
function refusePages({ headers, method }: IncomingMessage): void {
  const { host, origin } = headers;
  const site = headers['sec-fetch-site'];
  const isForeign =
    origin === undefined
      ? // Browsers leave Origin out where a page only reads, and can't see what it gets.
        method !== 'GET' && method !== 'HEAD' && (site === 'cross-site' || site === 'same-site')
      : host === undefined || originHost(origin) !== host.toLowerCase();
  if (!isForeign) return;
  throw new ProblemError(403, 'ERR_FOREIGN_ORIGIN', 'This call comes from a page of another site.');
}

/** @throws ProblemError 403 */
function refuseForeignHost({ headers: { host } }: IncomingMessage, adminHost: string): void {
  if (host === undefined || isOwnName(host, adminHost)) return;
  throw new ProblemError(
    403,
    'ERR_FOREIGN_HOST',
    `The Host field names ${JSON.stringify(host)}, which is not this admin API.`,
    { hint: 'call it as localhost or 127.0.0.1, or set admin.host or admin.token' },
  );
}

/** Undefined for `null` and for anything that is no origin. */
function originHost(origin: string): string | undefined {
  try {
    const url = new URL(origin);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.host : undefined;
  } catch {
    return undefined;
  }
}

function isOwnName(hostField: string, adminHost: string): boolean {
  const name = hostName(hostField);
  if (name === undefined) return false;
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  if (name === adminHost.toLowerCase()) return true;
  if (isIPv4(name)) return name.startsWith('127.');
  return isIPv6(name) && (name === '::1' || name === '0:0:0:0:0:0:0:1');
}

function hostName(hostField: string): string | undefined {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d*)?$/.exec(hostField) ?? [];
  return (bracketed ?? plain)?.toLowerCase().replace(/\.$/, '');
}
