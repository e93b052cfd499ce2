/** What is kept in the store: keys by what they are for, and what stands under them. Sealed where there is a key for it. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type AcmeSettings, issueKey } from '../../config/acme-settings.ts';

/** All of it stands under this. */
export const PREFIX = 'acme/';
export const LOCK_KEY = `${PREFIX}lock`;
export const CERTIFICATES = `${PREFIX}certificate/`;
export const FAILURES = `${PREFIX}failure/`;
export const CHALLENGES = `${PREFIX}challenge/`;

/** One for each authority, address and account of elsewhere. */
export function accountKeyOf({ directoryUrl, email, externalAccount }: AcmeSettings): string {
  return `${PREFIX}account/${hash([directoryUrl, email, externalAccount?.keyId ?? ''])}`;
}

/** What keys of one certificate end with. */
export function issueIdOf(settings: AcmeSettings, name: string): string {
  return hash([issueKey(settings, name)]);
}

export function orderKeyOf(issueId: string): string {
  return `${PREFIX}order/${issueId}`;
}

/** What may be wrong with an order, apart from the world: with other settings, it is worth a try at once. */
export function digestOf(settings: AcmeSettings): string {
  const { names: _names, store: _store, onDemand: _onDemand, ...others } = settings;
  return hash([JSON.stringify(others)]);
}

function hash(parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 32);
}

export const ACCOUNT = z.object({
  version: z.literal(1),
  directoryUrl: z.string(),
  key: z.string(),
  /** Empty: it is yet to be made. */
  url: z.string(),
});

export const CERTIFICATE = z.object({
  version: z.literal(1),
  directoryUrl: z.string(),
  name: z.string(),
  cert: z.string(),
  key: z.string(),
});

export const ORDER = z.object({ version: z.literal(1), url: z.string(), key: z.string() });

/** Times are those of the calendar: it outlives a restart. */
export const FAILURE = z.object({
  version: z.literal(1),
  failures: z.int().positive(),
  atMs: z.number(),
  retryAtMs: z.number(),
  message: z.string(),
  kind: z.string(),
  hint: z.string(),
  settings: z.string(),
});

export const CHALLENGE_OUT = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('http-01'), token: z.string(), text: z.string() }),
  z.object({ kind: z.literal('tls-alpn-01'), name: z.string(), cert: z.string(), key: z.string() }),
]);

export type AccountRecord = z.output<typeof ACCOUNT>;
export type CertificateRecord = z.output<typeof CERTIFICATE>;
export type FailureRecord = z.output<typeof FAILURE>;
export type ChallengeOut = z.output<typeof CHALLENGE_OUT>;
