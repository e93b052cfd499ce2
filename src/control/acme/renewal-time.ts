/** When a certificate is renewed, and when what has failed is tried again. Pure: the same input gives the same time. */
import { createHash, X509Certificate } from 'node:crypto';
import {
  contextTag,
  expectTag,
  OCTET_STRING,
  readAll,
  readOne,
  SEQUENCE,
} from '../certificates/der.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const FIRST_RETRY_MS = MINUTE_MS;
/** Let's Encrypt lets five validations fail in an hour. */
const LONGEST_RETRY_MS = 6 * HOUR_MS;
/** Nobody could be asked: that costs nobody anything. */
const LONGEST_UNREACHABLE_MS = 10 * MINUTE_MS;
const LEAST_AFTER_RATE_LIMIT_MS = HOUR_MS;
/** A clock that is wrong must not stop renewals for years. */
const LONGEST_WAIT_MS = 7 * 24 * HOUR_MS;
const JITTER = 0.1;
/** Of its life, behind two thirds of it: those of many names were fetched in one go. */
const SPREAD = 0.05;
/**
 * One that was just signed is not renewed at once, whatever the authority or a clock says: that would be an order after the other. Of
 * Let's Encrypt, the life begins an hour before it is signed.
 */
const SHORTEST_USE_MS = 2 * HOUR_MS;

export interface RenewalWindow {
  readonly startMs: number;
  readonly endMs: number;
}

/**
 * Somewhere in the window that the authority has named (RFC 9773 §4.2), or a little behind two thirds of the life. By the certificate
 * itself and not by chance: all instances come to the same, and so does the next look.
 */
export function renewalTime(
  {
    notBeforeMs,
    notAfterMs,
    fingerprint,
  }: { readonly notBeforeMs: number; readonly notAfterMs: number; readonly fingerprint: string },
  window: RenewalWindow | undefined,
): number {
  const place = placeOf(fingerprint);
  const lifeMs = notAfterMs - notBeforeMs;
  if (window !== undefined) {
    const chosen = window.startMs + place * (window.endMs - window.startMs);
    const earliest = notBeforeMs + Math.min(SHORTEST_USE_MS, lifeMs / 3);
    // Whatever the authority says: one that has ended serves nobody.
    return Math.min(Math.max(chosen, earliest), notAfterMs);
  }
  return notBeforeMs + lifeMs * (2 / 3 + SPREAD * place);
}

/** From 0 up to 1. */
function placeOf(fingerprint: string): number {
  return createHash('sha256').update(fingerprint).digest().readUInt32BE() / 2 ** 32;
}

/** Undefined: it makes no sense (RFC 9773 §4.2: then there is none). */
export function windowIn(start: string, end: string): RenewalWindow | undefined {
  const [startMs, endMs] = [Date.parse(start), Date.parse(end)];
  return Number.isNaN(startMs) || Number.isNaN(endMs) || endMs <= startMs
    ? undefined
    : { startMs, endMs };
}

export interface Failure {
  /** In a row. */
  readonly failures: number;
  readonly isUnreachable: boolean;
  readonly isRateLimited: boolean;
  /** What the authority has said. */
  readonly retryAfterMs: number | undefined;
}

/** How long to wait before the next try. @param random from 0 up to 1 */
export function retryMs(
  { failures, isUnreachable, isRateLimited, retryAfterMs = 0 }: Failure,
  random: number,
): number {
  const longestMs = isUnreachable ? LONGEST_UNREACHABLE_MS : LONGEST_RETRY_MS;
  const ownMs = Math.min(longestMs, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 20));
  const leastMs = isRateLimited && retryAfterMs === 0 ? LEAST_AFTER_RATE_LIMIT_MS : retryAfterMs;
  // Later, and never earlier than was asked for.
  return Math.min(LONGEST_WAIT_MS, Math.max(ownMs, leastMs) * (1 + JITTER * random));
}

/** What ARI calls a certificate: RFC 9773 §4.1. Undefined: it does not say whose key has signed it. */
export function renewalIdOf(cert: string): string | undefined {
  const { raw } = new X509Certificate(cert);
  try {
    const [content] = readAll(readOne(raw, SEQUENCE).content);
    const fields = readAll(expectTag(content, SEQUENCE).content);
    // Version, then the number, with the zero before it where it has one.
    const serial = fields.find(({ tag }) => tag === 0x02);
    const extensions = fields.find(({ tag }) => tag === contextTag(3));
    if (serial === undefined || extensions === undefined) return undefined;
    const keyId = authorityKeyId(readOne(extensions.content, SEQUENCE).content);
    if (keyId === undefined) return undefined;
    return `${keyId.toString('base64url')}.${serial.content.toString('base64url')}`;
  } catch {
    return undefined;
  }
}

/** RFC 5280 §4.2.1.1 */
function authorityKeyId(extensions: Buffer): Buffer | undefined {
  // 2.5.29.35
  const name = Buffer.from('0603551d23', 'hex');
  const own = readAll(extensions).find(({ content }) =>
    content.subarray(0, name.length).equals(name),
  );
  const value = own === undefined ? undefined : readAll(own.content).at(-1);
  if (value === undefined) return undefined;
  const parts = readAll(readOne(expectTag(value, OCTET_STRING).content, SEQUENCE).content);
  return parts.find(({ tag }) => tag === contextTag(0, true))?.content;
}
