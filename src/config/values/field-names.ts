/** Names of header fields, and those that no route can go by. */

/** RFC 9110 §5.1: a token. */
export const FIELD_NAME = /^[\w!#$%&'*+.^`|~-]+$/;

/** Of ASCII, as no field is safe to have anything else. */
export const FIELD_TEXT = /^[ -~]*$/;

/** They are for one hop (RFC 9110 §7.6.1), so no backend sees them. Not `upgrade`: what is asked for goes on. */
export const ONE_HOP: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
]);

/** Some servers read `_` as `-`, so these are dropped, whoever sends them. */
export const FORWARDED_TWIN = /^x(_forwarded[-_].*|-forwarded_.*|_real[-_]ip|-real_ip)$/;
