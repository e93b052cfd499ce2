/**
 * Who may call the admin API.
 *
 * It listens on loopback without a token, so whatever runs on this machine may call it, and a browser runs pages of
 * strangers. A page can send requests here, but it can't forge Origin, and a name it had rebound to 127.0.0.1 shows in
 * Host: both are checked. With a token the token decides.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIPv4, isIPv6 } from 'node:net';
import { ProblemError } from './problem.ts';

export interface GuardOptions {
  readonly host: string;
  readonly token: string | undefined;
}

/** @returns what gave the right to call, where that was a token: the key of the config. @throws ProblemError 401 or 403 */
export type Guard = (request: IncomingMessage) => string | undefined;

const TOKEN_KEY = 'admin.token';

export function createGuard({ host: adminHost, token }: GuardOptions): Guard {
  const expected = token === undefined ? undefined : digest(token);
  return (request) => {
    const { host, origin, authorization } = request.headers;
    if (origin !== undefined && (host === undefined || originHost(origin) !== host.toLowerCase())) {
      throw new ProblemError(
        403,
        'ERR_FOREIGN_ORIGIN',
        'This call comes from a page of another site.',
      );
    }
    if (expected !== undefined) {
      checkToken(authorization, expected);
      return TOKEN_KEY;
    }
    if (host !== undefined && !isOwnName(host, adminHost)) {
      throw new ProblemError(
        403,
        'ERR_FOREIGN_HOST',
        `The Host field names ${JSON.stringify(host)}, which is not this admin API.`,
        { hint: 'call it as localhost or 127.0.0.1, or set admin.host or admin.token' },
      );
    }
    return undefined;
  };
}

function checkToken(authorization: string | undefined, expected: Buffer): void {
  const [, presented] = /^bearer +(\S+) *$/i.exec(authorization ?? '') ?? [];
  // Digests have one length and are compared in constant time: nothing about the token leaks through the clock.
  if (presented !== undefined && timingSafeEqual(digest(presented), expected)) return;
  throw new ProblemError(
    401,
    'ERR_UNAUTHORIZED',
    presented === undefined ? 'This call needs a token.' : 'This is not the token.',
    {
      hint: 'send Authorization: Bearer <admin.token>',
      headers: { 'WWW-Authenticate': 'Bearer realm="fairlead"' },
    },
  );
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
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
