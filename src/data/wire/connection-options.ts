/**
 * The Connection field (RFC 9110 §7.6.1): what the sender wants of this connection, and which of its fields are for this
 * hop only.
 */
import { FIELD_CONNECTION } from './fields.ts';
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
 * credentials (CVE-2024-45410: X-Forwarded-* stripped by nomination). Looked up by name: a field of 32 KiB holds
 * thousands of options, and each of them costs.
 */
const PROTECTED: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'authorization',
  'expect',
  'forwarded',
  'x-real-ip',
  'max-forwards',
  'x-request-id',
  'via',
]);
const PROTECTED_PREFIX = 'x-forwarded-';

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
    const text = head.text(buffer, base);
    const start = head.valueStart(field);
    const end = head.valueEnd(field);
    // Three spellings are nearly all of the traffic.
    if (isSpelled(text, start, end, 'keep-alive')) options.keepAlive = true;
    else if (isSpelled(text, start, end, 'close')) options.close = true;
    else if (isSpelled(text, start, end, 'Upgrade')) options.upgrade = true;
    else readTokens(text.slice(start, end), options);
  }
}

function isSpelled(text: string, start: number, end: number, word: string): boolean {
  return end - start === word.length && text.startsWith(word, start);
}

function readTokens(value: string, options: ConnectionOptions): void {
  for (const part of value.toLowerCase().split(',')) {
    const token = part.trim();
    if (token === '') continue;
    if (token === 'close') options.close = true;
    else if (token === 'keep-alive') options.keepAlive = true;
    else if (token === 'upgrade') options.upgrade = true;
    else if (!PROTECTED.has(token) && !token.startsWith(PROTECTED_PREFIX)) {
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
