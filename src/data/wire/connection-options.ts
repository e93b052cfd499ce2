/**
 * The Connection field (RFC 9110 §7.6.1): what the sender wants of this connection, and which of its fields are for this
 * hop only.
 */
import {
  FIELD_AUTHORIZATION,
  FIELD_CONNECTION,
  FIELD_CONTENT_LENGTH,
  FIELD_EXPECT,
  FIELD_FORWARDED,
  FIELD_FORWARDED_FOR,
  FIELD_FORWARDED_HOST,
  FIELD_FORWARDED_OTHER,
  FIELD_FORWARDED_PORT,
  FIELD_FORWARDED_PROTO,
  FIELD_HOST,
  FIELD_MAX_FORWARDS,
  FIELD_REQUEST_ID,
  FIELD_VIA,
  identifyFieldName,
} from './fields.ts';
import type { HeadParser } from './head-parser.ts';

export interface ConnectionOptions {
  close: boolean;
  keepAlive: boolean;
  upgrade: boolean;
  /** Lower-case names of fields to remove besides the ones that are always removed; null when there are none. */
  nominated: Set<string> | null;
}

export function createConnectionOptions(): ConnectionOptions {
  return { close: false, keepAlive: false, upgrade: false, nominated: null };
}

/**
 * Fields that a sender can't have removed by naming them: what the proxy itself adds, heeds or stands for, and
 * credentials (CVE-2024-45410: X-Forwarded-* stripped by nomination).
 */
const PROTECTED = new Set([
  FIELD_HOST,
  FIELD_CONTENT_LENGTH,
  FIELD_AUTHORIZATION,
  FIELD_EXPECT,
  FIELD_FORWARDED,
  FIELD_FORWARDED_FOR,
  FIELD_FORWARDED_HOST,
  FIELD_FORWARDED_OTHER,
  FIELD_FORWARDED_PORT,
  FIELD_FORWARDED_PROTO,
  FIELD_MAX_FORWARDS,
  FIELD_REQUEST_ID,
  FIELD_VIA,
]);

/** Reads all Connection fields of a head into `options`, which is reset first. */
export function readConnectionOptions(
  head: HeadParser,
  buffer: Buffer,
  base: number,
  options: ConnectionOptions,
): void {
  options.close = false;
  options.keepAlive = false;
  options.upgrade = false;
  options.nominated = null;
  for (let field = 0; field < head.fieldCount; field++) {
    if (head.ids[field] !== FIELD_CONNECTION) continue;
    const value = buffer.latin1Slice(base + head.valueStart(field), base + head.valueEnd(field));
    // Three spellings are nearly all of the traffic.
    if (value === 'keep-alive') options.keepAlive = true;
    else if (value === 'close') options.close = true;
    else if (value === 'Upgrade') options.upgrade = true;
    else readTokens(value, options);
  }
}

function readTokens(value: string, options: ConnectionOptions): void {
  for (const part of value.split(',')) {
    const token = part.trim().toLowerCase();
    if (token === '') continue;
    if (token === 'close') options.close = true;
    else if (token === 'keep-alive') options.keepAlive = true;
    else if (token === 'upgrade') options.upgrade = true;
    else if (!PROTECTED.has(identifyFieldName(token))) {
      options.nominated ??= new Set();
      options.nominated.add(token);
    }
  }
}

/** Whether the connection stays open after the message, by its version and options (RFC 9112 §9.3). */
export function isPersistent(versionMinor: number, options: ConnectionOptions): boolean {
  if (options.close) return false;
  return versionMinor === 1 || options.keepAlive;
}
