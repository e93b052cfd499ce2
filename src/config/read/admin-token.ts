/**
 * Tokens of the admin API. They are made here, of 256 random bits, so that nobody can guess what a digest is of: see
 * docs/decisions/0033-tokens-of-the-admin-api.md.
 */
import { createHash, randomBytes } from 'node:crypto';

export const ADMIN_ROLES = ['viewer', 'operator'] as const;

/** A viewer may read; an operator may do all. */
export type AdminRole = (typeof ADMIN_ROLES)[number];

export interface AdminToken {
  readonly name: string;
  readonly role: AdminRole;
  /** SHA-256 of the token, in hex. */
  readonly digest: string;
}

/** What `admin.token` goes by in logs. */
export const CONFIG_TOKEN_NAME = 'admin.token';

const NAME = /^[\w.@+-]{1,64}$/;

/** What each begins with: so that it is known for one where it should not be. */
export const TOKEN_PREFIX = 'fairlead_';

/** @returns the token, which is kept nowhere, and what stands for it in the file. */
export function makeToken(
  name: string,
  role: AdminRole,
): { readonly token: string; readonly line: string } {
  const token = TOKEN_PREFIX + randomBytes(32).toString('base64url');
  return { token, line: `${name} ${role} sha256:${digestOf(token).toString('hex')}` };
}

export function isTokenName(name: string): boolean {
  return NAME.test(name) && name !== CONFIG_TOKEN_NAME;
}

export function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
