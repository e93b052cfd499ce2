/** What a session cookie says to mean a backend: opaque, and nobody can make one up. */
import { createHmac, randomBytes } from 'node:crypto';
import type { PoolSettings } from '../config/settings.ts';

const HOUR_MS = 3600 * 1000;
const SECRET_BYTES = 32;
/** Of base64url: more than 128 bits, RFC 2104 §5 for the cutting. */
const TOKEN_LENGTH = 22;

/** The same for the same URL as long as the secret is the same, so that sessions outlive restarts and reloads. */
export function sessionToken(secret: string, url: string): string {
  return createHmac('sha256', secret).update(url).digest('base64url').slice(0, TOKEN_LENGTH);
}

/** Sessions go by cookie, and the config names no secret to sign them with. */
export function needsSessionSecret({ sticky }: PoolSettings): boolean {
  return sticky !== null && sticky.cookie !== null && sticky.secret === undefined;
}

/** How long a cookie lives at most that is signed with the secret of the state; an hour where none is in use. */
export function longestCookieMs(pools: readonly PoolSettings[]): number {
  const lifetimes = pools.filter(needsSessionSecret).map(({ sticky }) => sticky?.ttlMs ?? 0);
  return lifetimes.length === 0 ? HOUR_MS : Math.max(...lifetimes);
}

export function makeSessionSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}
