/**
 * The Connection field (RFC 9110 §7.6.1): what the sender wants of this connection, and which of its fields are for this
 * hop only.
 */
import { FIELD_CONNECTION, isProtected } from './fields.ts';
import type { Head } from './head.ts';

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

/** Reads all Connection fields of a head into `options`, which is reset first. */
export function readConnectionOptions(head: Head, options: ConnectionOptions): void {
  options.close = false;
  options.keepAlive = false;
  options.upgrade = false;
  options.nominated = null;
  for (let field = 0; field < head.fieldCount; field++) {
    if (head.id(field) !== FIELD_CONNECTION) continue;
    // Three spellings are nearly all of the traffic.
    if (head.isValue(field, 'keep-alive')) options.keepAlive = true;
    else if (head.isValue(field, 'close')) options.close = true;
    else if (head.isValue(field, 'Upgrade')) options.upgrade = true;
    else readTokens(head.value(field), options);
  }
}

function readTokens(value: string, options: ConnectionOptions): void {
  for (const part of value.toLowerCase().split(',')) {
    const token = part.trim();
    if (token === '') continue;
    if (token === 'close') options.close = true;
    else if (token === 'keep-alive') options.keepAlive = true;
    else if (token === 'upgrade') options.upgrade = true;
    else if (!isProtected(token)) {
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
