/** Addresses of this machine and its peers, as texts: IP addresses, CIDR blocks, host names, listen addresses. */
import { isIP, isIPv4, isIPv6 } from 'node:net';

const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;

/** A name that DNS or a hosts file could hold. Underscores are allowed: container names have them. */
export function isHostName(text: string): boolean {
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  if (name.length === 0 || name.length > 253) return false;
  const labels = name.split('.');
  // A name that ends in a number is an IPv4 address to some readers (127.1, 0x7f.1): refused rather than guessed.
  if (/^(\d+|0x[0-9a-f]*)$/i.test(labels.at(-1) as string)) return false;
  return labels.every((label) => LABEL.test(label));
}

/** The one spelling of an IPv6 address (RFC 5952), without brackets; undefined when it is none or has a zone. */
export function canonicalIPv6(text: string): string | undefined {
  if (!isIPv6(text) || text.includes('%')) return undefined;
  return new URL(`http://[${text}]/`).hostname.slice(1, -1);
}

/** In one spelling: an address of IPv4 that is written as one of IPv6 is the same one (RFC 4291 §2.5.5.2). */
export function canonicalHost(written: string): string {
  const host = canonicalIPv6(written) ?? written.toLowerCase();
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(host);
  if (mapped === null) return host;
  const groups = mapped.slice(1).map((group) => Number.parseInt(group, 16));
  return groups.flatMap((group) => [group >> 8, group & 0xff]).join('.');
}

export function isLoopback(host: string): boolean {
  return (
    host.toLowerCase() === 'localhost' ||
    (isIPv4(host) && host.startsWith('127.')) ||
    canonicalIPv6(host) === '::1'
  );
}

/** `10.0.0.0/8` as it stands, an address alone as a block of one; undefined when it is neither. */
export function parseCidr(text: string): string | undefined {
  const slash = text.indexOf('/');
  const address = slash === -1 ? text : text.slice(0, slash);
  const family = isIP(address);
  if (family === 0 || address.includes('%')) return undefined;
  const bits = family === 4 ? 32 : 128;
  if (slash === -1) return `${address}/${bits}`;
  const prefix = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(prefix) || Number(prefix) > bits) return undefined;
  return `${address}/${prefix}`;
}

/** A value that may stand in a Host field: `uri-host [ ":" port ]` (RFC 9110 §7.2). */
export function isHostFieldValue(text: string): boolean {
  const parts = /^(\[([^\]]+)\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text);
  if (parts === null) return false;
  const [, host = '', bracketed, port] = parts;
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return false;
  if (bracketed !== undefined) return canonicalIPv6(bracketed) !== undefined;
  return isIPv4(host) || isHostName(host);
}

/** An address to listen on, without brackets; undefined when it is none. */
export function parseListenHost(text: string): string | undefined {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  return isIP(bare) !== 0 || (bare === text && isHostName(text)) ? bare : undefined;
}

/**
 * The host of a route as `RouteMatch` has it: a name or `*.` and a name in lower case without a trailing dot, or an address;
 * undefined when it is none of them.
 */
export function parseRouteHost(text: string): string | undefined {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  const address = canonicalIPv6(bare);
  if (address !== undefined) return `[${address}]`;
  const name = text.toLowerCase().replace(/\.$/, '');
  if (name.endsWith('.')) return undefined;
  if (isIPv4(name) || isHostName(name)) return name;
  return name.startsWith('*.') && isHostName(name.slice(2)) ? name : undefined;
}
