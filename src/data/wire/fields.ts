/**
 * The field names that a proxy must know, as small numbers, found without making a string.
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
export const FIELD_PROXY_CONNECTION = 6;
export const FIELD_TE = 7;
export const FIELD_TRAILER = 8;
export const FIELD_UPGRADE = 9;
export const FIELD_PROXY_AUTHORIZATION = 10;
export const FIELD_PROXY_AUTHENTICATE = 11;
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
export const FIELD_HTTP2_SETTINGS = 26;
export const FIELD_CONTENT_ENCODING = 27;
export const FIELD_CONTENT_TYPE = 28;
export const FIELD_CONTENT_RANGE = 29;
export const FIELD_COOKIE = 30;
export const FIELD_SET_COOKIE = 31;
export const FIELD_UNDERSCORE_TWIN = 32;
export const FIELD_WWW_AUTHENTICATE = 33;
export const FIELD_DATE = 34;
export const FIELD_ID_COUNT = 35;

const NAMES: readonly (readonly [string, number])[] = [
  ['host', FIELD_HOST],
  ['connection', FIELD_CONNECTION],
  ['content-length', FIELD_CONTENT_LENGTH],
  ['transfer-encoding', FIELD_TRANSFER_ENCODING],
  ['keep-alive', FIELD_KEEP_ALIVE],
  ['proxy-connection', FIELD_PROXY_CONNECTION],
  ['te', FIELD_TE],
  ['trailer', FIELD_TRAILER],
  ['upgrade', FIELD_UPGRADE],
  ['proxy-authorization', FIELD_PROXY_AUTHORIZATION],
  ['proxy-authenticate', FIELD_PROXY_AUTHENTICATE],
  ['proxy-authentication-info', FIELD_PROXY_AUTHENTICATE],
  ['expect', FIELD_EXPECT],
  ['max-forwards', FIELD_MAX_FORWARDS],
  ['via', FIELD_VIA],
  ['x-forwarded-for', FIELD_FORWARDED_FOR],
  ['x-forwarded-proto', FIELD_FORWARDED_PROTO],
  ['x-forwarded-host', FIELD_FORWARDED_HOST],
  ['x-forwarded-port', FIELD_FORWARDED_PORT],
  ['x-real-ip', FIELD_FORWARDED_OTHER],
  ['forwarded', FIELD_FORWARDED],
  ['x-request-id', FIELD_REQUEST_ID],
  ['accept', FIELD_ACCEPT],
  ['authorization', FIELD_AUTHORIZATION],
  ['user-agent', FIELD_USER_AGENT],
  ['referer', FIELD_REFERER],
  ['http2-settings', FIELD_HTTP2_SETTINGS],
  ['content-encoding', FIELD_CONTENT_ENCODING],
  ['content-type', FIELD_CONTENT_TYPE],
  ['content-range', FIELD_CONTENT_RANGE],
  ['cookie', FIELD_COOKIE],
  ['set-cookie', FIELD_SET_COOKIE],
  ['www-authenticate', FIELD_WWW_AUTHENTICATE],
  ['date', FIELD_DATE],
];

interface KnownName {
  readonly bytes: Uint8Array;
  readonly id: number;
}

/** Known names by length: most names of other lengths are told apart by one lookup. */
const BY_LENGTH: (readonly KnownName[])[] = [];
for (const [name, id] of NAMES) {
  const bucket = BY_LENGTH[name.length] ?? [];
  BY_LENGTH[name.length] = [...bucket, { bytes: Buffer.from(name, 'latin1'), id }];
}
for (let length = 0; length < BY_LENGTH.length; length++) BY_LENGTH[length] ??= [];

/** Applications believe fields of this family that no list here can know (X-Forwarded-User, X-Forwarded-Client-Cert). */
const FORWARDED_PREFIX = Buffer.from('x-forwarded-', 'latin1');

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
  if (length > FORWARDED_PREFIX.length) {
    if (matches(buffer, start, FORWARDED_PREFIX, false)) return FIELD_FORWARDED_OTHER;
    if (hasUnderscore && matches(buffer, start, FORWARDED_PREFIX, true)) {
      return FIELD_UNDERSCORE_TWIN;
    }
  }
  return FIELD_OTHER;
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
