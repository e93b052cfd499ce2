/**
 * What becomes of a field that is sent on in HTTP/2, by its name. A name that any peer of this thread has sent as "never indexed" is
 * kept so for all (RFC 7541 §6.2.3), as the text of HTTP/1.1 has no place for that between the two.
 */
import { STATIC_NAMES } from './static-table.ts';

// What becomes of a field.
/** It is for one connection of HTTP/1.1 only (RFC 9113 §8.2.2). */
export const DROPPED = 0;
/** In a request `:authority` says it. */
export const DROPPED_HOST = 1;
/** RFC 8441 §5: the handshake of WebSocket has no keys in HTTP/2. */
export const DROPPED_KEY = 2;
export const DROPPED_ACCEPT = 3;
/** It may only say `trailers`. */
export const ONLY_TRAILERS = 4;
/** In no table, ours or that of any other who passes it on (RFC 7541 §7.1.3). */
export const IS_SECRET = 5;
/** Not in the table: it is another one each time. */
const VARIES = 6;
/** In the table, once it has been met twice. */
export const REPEATS = 7;

const TREATMENTS: ReadonlyMap<string, number> = new Map([
  ['connection', DROPPED],
  ['keep-alive', DROPPED],
  ['proxy-connection', DROPPED],
  ['transfer-encoding', DROPPED],
  ['upgrade', DROPPED],
  ['http2-settings', DROPPED],
  ['host', DROPPED_HOST],
  ['sec-websocket-key', DROPPED_KEY],
  ['sec-websocket-accept', DROPPED_ACCEPT],
  ['te', ONLY_TRAILERS],
  ['cookie', IS_SECRET],
  ['set-cookie', IS_SECRET],
  ['authorization', IS_SECRET],
  ['proxy-authorization', IS_SECRET],
  ['age', VARIES],
  ['content-length', VARIES],
  ['content-range', VARIES],
  ['etag', VARIES],
  ['forwarded', VARIES],
  ['grpc-timeout', VARIES],
  ['if-modified-since', VARIES],
  ['if-none-match', VARIES],
  ['last-modified', VARIES],
  ['location', VARIES],
  ['range', VARIES],
  ['referer', VARIES],
  ['traceparent', VARIES],
  ['tracestate', VARIES],
  ['x-forwarded-for', VARIES],
  ['x-real-ip', VARIES],
  ['x-request-id', VARIES],
]);

/** Secrets have few names. */
const MAX_NOTED = 64;
const MAX_NAME = 64;

const noted = new Set<string>();

/** @param name in lower case. */
export function treatmentOf(name: string): number {
  const treatment = TREATMENTS.get(name) ?? REPEATS;
  return treatment >= VARIES && noted.has(name) ? IS_SECRET : treatment;
}

/**
 * A field with this name was never to be indexed. Not heeded for what all messages have (`user-agent`, `server`): nobody's secret, and
 * a single client could make it dearer for all others.
 */
export function noteSecret(name: string): void {
  const treatment = TREATMENTS.get(name) ?? REPEATS;
  if (treatment < VARIES || noted.size >= MAX_NOTED || name.length > MAX_NAME) return;
  if (treatment === VARIES || !STATIC_NAMES.has(name)) noted.add(name);
}

/** Grows whenever a name is treated in another way than before. */
export function treatmentChanges(): number {
  return noted.size;
}
