/**
 * The field names that a proxy must know, as small numbers, found without making a string; and what each of them is.
 *
 * Names are matched without regard to case. A name that equals a known one but for `_` in place of `-` is told apart as
 * `UNDERSCORE_TWIN`: CGI-style servers read both as the same variable, so it could override what the proxy sets.
 */
import { LOWER } from './bytes.ts';

export const FIELD_OTHER = 0;
export const FIELD_HOST = 1;
export const FIELD_CONNECTION = 2;
export const FIELD_CONTENT_LENGTH = 3;
export const FIELD_TRANSFER_ENCODING = 4;
export const FIELD_KEEP_ALIVE = 5;
const FIELD_PROXY_CONNECTION = 6;
export const FIELD_TE = 7;
export const FIELD_TRAILER = 8;
export const FIELD_UPGRADE = 9;
const FIELD_PROXY_AUTHORIZATION = 10;
const FIELD_PROXY_AUTHENTICATE = 11;
export const FIELD_EXPECT = 12;
export const FIELD_MAX_FORWARDS = 13;
export const FIELD_VIA = 14;
export const FIELD_FORWARDED_FOR = 15;
export const FIELD_FORWARDED_PROTO = 16;
export const FIELD_FORWARDED_HOST = 17;
export const FIELD_FORWARDED_PORT = 18;
/** X-Real-IP and every X-Forwarded-… that has no number here: never sent by the proxy, believed from trusted peers only. */
export const FIELD_FORWARDED_OTHER = 19;
export const FIELD_FORWARDED = 20;
export const FIELD_REQUEST_ID = 21;
export const FIELD_ACCEPT = 22;
export const FIELD_AUTHORIZATION = 23;
export const FIELD_USER_AGENT = 24;
export const FIELD_REFERER = 25;
const FIELD_HTTP2_SETTINGS = 26;
const FIELD_CONTENT_ENCODING = 27;
export const FIELD_CONTENT_TYPE = 28;
const FIELD_CONTENT_RANGE = 29;
export const FIELD_COOKIE = 30;
export const FIELD_SET_COOKIE = 31;
export const FIELD_UNDERSCORE_TWIN = 32;
export const FIELD_WWW_AUTHENTICATE = 33;
export const FIELD_DATE = 34;
export const FIELD_LOCATION = 35;
export const FIELD_REFRESH = 36;
/** X-SSL-Client-…: what is told of a client's certificate. */
export const FIELD_CLIENT_CERTIFICATE = 37;
const FIELD_ID_COUNT = 38;

// ── What a field is ─────────────────────────────────────────────────────────────────────────────────────────────────

/** For one hop only: it never passes, but for what we say ourselves (RFC 9110 §7.6.1, §11.7; RFC 7540 §3.2.1). */
export const HOP_BY_HOP = 1;
/** In a request, whether it passes depends: forward-request.ts has a rule for it. */
export const HAS_REQUEST_RULE = 2;
/** In a response: forward-response.ts has. */
export const HAS_RESPONSE_RULE = 4;
/**
 * A sender can't have it removed by naming it in Connection: what the proxy itself adds, heeds or stands for, and
 * credentials (CVE-2024-45410: X-Forwarded-* stripped by nomination).
 */
const IS_PROTECTED = 8;
/**
 * It must not come as a trailer: framing, routing, authentication, payload processing, and what the proxy sets
 * (RFC 9110 §6.5.1). Such a trailer is left out; the others pass as they came.
 */
export const NO_TRAILER = 16;

const HOP = HOP_BY_HOP | NO_TRAILER;
const REQUEST = HAS_REQUEST_RULE;
const RESPONSE = HAS_RESPONSE_RULE;
const FORWARDED = HAS_REQUEST_RULE | IS_PROTECTED | NO_TRAILER;

/** Everything that is known of a field stands here; X-Forwarded-… is more than can be listed. */
const FIELDS: readonly (readonly [name: string, id: number, traits: number])[] = [
  ['host', FIELD_HOST, REQUEST | IS_PROTECTED | NO_TRAILER],
  ['connection', FIELD_CONNECTION, HOP],
  ['content-length', FIELD_CONTENT_LENGTH, REQUEST | RESPONSE | IS_PROTECTED | NO_TRAILER],
  ['transfer-encoding', FIELD_TRANSFER_ENCODING, HOP],
  ['keep-alive', FIELD_KEEP_ALIVE, HOP],
  ['proxy-connection', FIELD_PROXY_CONNECTION, HOP],
  ['te', FIELD_TE, HOP | REQUEST],
  ['trailer', FIELD_TRAILER, REQUEST | RESPONSE | NO_TRAILER],
  ['upgrade', FIELD_UPGRADE, HOP | RESPONSE],
  ['proxy-authorization', FIELD_PROXY_AUTHORIZATION, HOP],
  ['proxy-authenticate', FIELD_PROXY_AUTHENTICATE, HOP],
  ['proxy-authentication-info', FIELD_PROXY_AUTHENTICATE, HOP],
  ['expect', FIELD_EXPECT, REQUEST | IS_PROTECTED | NO_TRAILER],
  ['max-forwards', FIELD_MAX_FORWARDS, REQUEST | IS_PROTECTED | NO_TRAILER],
  ['via', FIELD_VIA, IS_PROTECTED | NO_TRAILER],
  ['x-forwarded-for', FIELD_FORWARDED_FOR, FORWARDED],
  ['x-forwarded-proto', FIELD_FORWARDED_PROTO, FORWARDED],
  ['x-forwarded-host', FIELD_FORWARDED_HOST, FORWARDED],
  ['x-forwarded-port', FIELD_FORWARDED_PORT, FORWARDED],
  ['x-real-ip', FIELD_FORWARDED_OTHER, FORWARDED],
  ['forwarded', FIELD_FORWARDED, FORWARDED],
  ['x-request-id', FIELD_REQUEST_ID, FORWARDED],
  ['accept', FIELD_ACCEPT, 0],
  ['authorization', FIELD_AUTHORIZATION, REQUEST | IS_PROTECTED | NO_TRAILER],
  ['user-agent', FIELD_USER_AGENT, 0],
  ['referer', FIELD_REFERER, 0],
  ['http2-settings', FIELD_HTTP2_SETTINGS, HOP],
  ['content-encoding', FIELD_CONTENT_ENCODING, NO_TRAILER],
  ['content-type', FIELD_CONTENT_TYPE, NO_TRAILER],
  ['content-range', FIELD_CONTENT_RANGE, NO_TRAILER],
  ['cookie', FIELD_COOKIE, NO_TRAILER],
  ['set-cookie', FIELD_SET_COOKIE, NO_TRAILER],
  ['www-authenticate', FIELD_WWW_AUTHENTICATE, NO_TRAILER],
  ['date', FIELD_DATE, RESPONSE],
  ['location', FIELD_LOCATION, RESPONSE | NO_TRAILER],
  ['refresh', FIELD_REFRESH, RESPONSE | NO_TRAILER],
];

/** By id. */
export const TRAITS = new Uint8Array(FIELD_ID_COUNT);
for (const [, id, traits] of FIELDS) TRAITS[id] = traits;
TRAITS[FIELD_CLIENT_CERTIFICATE] = FORWARDED;
// It has no name of its own. A backend's may pass: it is not believed by anybody.
TRAITS[FIELD_UNDERSCORE_TWIN] = HAS_REQUEST_RULE | NO_TRAILER;

/** Looked up by name: a Connection field of 32 KiB holds thousands of options, and each of them costs. */
const PROTECTED_NAMES: ReadonlySet<string> = new Set(
  FIELDS.filter(([, , traits]) => (traits & IS_PROTECTED) !== 0).map(([name]) => name),
);

/** Whether naming it in Connection has no effect. @param name in lower case. */
export function isProtected(name: string): boolean {
  return (
    PROTECTED_NAMES.has(name) || name.startsWith('x-forwarded-') || name.startsWith('x-ssl-client-')
  );
}

interface KnownName {
  readonly bytes: Uint8Array;
  readonly id: number;
}

/** Known names by length: most names of other lengths are told apart by one lookup. */
const BY_LENGTH: (readonly KnownName[])[] = [];
for (const [name, id] of FIELDS) {
  const bucket = BY_LENGTH[name.length] ?? [];
  BY_LENGTH[name.length] = [...bucket, { bytes: Buffer.from(name, 'latin1'), id }];
}
for (let length = 0; length < BY_LENGTH.length; length++) BY_LENGTH[length] ??= [];

/** Applications believe fields of this family that no list here can know (X-Forwarded-User, X-Forwarded-Client-Cert). */
const FORWARDED_PREFIX = Buffer.from('x-forwarded-', 'latin1');

/** Likewise: whatever stands behind it, no client may say it. */
const CERTIFICATE_PREFIX = Buffer.from('x-ssl-client-', 'latin1');

const SMALL_X = 0x78;
const UNDERSCORE = 0x5f;
const HYPHEN = 0x2d;

/**
 * Which known field the name in `buffer[start, end)` is.
 * @param hasUnderscore whether the name holds an underscore: no known name does, so it can only be a twin.
 */
export function identifyField(
  buffer: Uint8Array,
  start: number,
  end: number,
  hasUnderscore: boolean,
): number {
  const length = end - start;
  const bucket = BY_LENGTH[length];
  if (bucket !== undefined) {
    for (let index = 0; index < bucket.length; index++) {
      const { bytes, id } = bucket[index] as KnownName;
      if (matches(buffer, start, bytes, hasUnderscore)) {
        return hasUnderscore ? FIELD_UNDERSCORE_TWIN : id;
      }
    }
  }
  if (length > FORWARDED_PREFIX.length && LOWER[buffer[start] as number] === SMALL_X) {
    return identifyFamily(buffer, start, length, hasUnderscore);
  }
  return FIELD_OTHER;
}

function identifyFamily(
  buffer: Uint8Array,
  start: number,
  length: number,
  hasUnderscore: boolean,
): number {
  const isCertificate = matches(buffer, start, CERTIFICATE_PREFIX, hasUnderscore);
  if (isCertificate && length > CERTIFICATE_PREFIX.length) {
    // `X-SSL-Client_Verify` too: who reads both as one must not meet a client's.
    return hasUnderscore ? FIELD_UNDERSCORE_TWIN : FIELD_CLIENT_CERTIFICATE;
  }
  if (!matches(buffer, start, FORWARDED_PREFIX, hasUnderscore)) return FIELD_OTHER;
  if (!hasUnderscore) return FIELD_FORWARDED_OTHER;
  return matches(buffer, start, FORWARDED_PREFIX, false)
    ? FIELD_FORWARDED_OTHER
    : FIELD_UNDERSCORE_TWIN;
}

/** @param name in any case. */
export function idOfName(name: string): number {
  const bytes = Buffer.from(name, 'latin1');
  return identifyField(bytes, 0, bytes.length, name.includes('_'));
}

function matches(
  buffer: Uint8Array,
  start: number,
  name: Uint8Array,
  foldUnderscore: boolean,
): boolean {
  for (let index = 0; index < name.length; index++) {
    const byte = LOWER[buffer[start + index] as number] as number;
    if (byte === name[index]) continue;
    if (foldUnderscore && byte === UNDERSCORE && name[index] === HYPHEN) continue;
    return false;
  }
  return true;
}
