/** Who a request comes from: the peer, or what trusted proxies say of it. */
import net from 'node:net';
import { FIELD_FORWARDED_FOR } from '../wire/fields.ts';
import type { Head } from '../wire/head.ts';

/** The address of a socket: IPv4 in its own form also where the system maps it into IPv6. */
export function normalizeAddress(address: string | undefined): string {
  if (address === undefined) return 'unknown';
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

export function isTrusted(trusted: net.BlockList | null, address: string): boolean {
  if (trusted === null) return false;
  const version = net.isIP(address);
  return version !== 0 && trusted.check(address, version === 6 ? 'ipv6' : 'ipv4');
}

/** More proxies than any request passes; each that is looked at costs, and whoever wrote the list chose its length. */
const MAX_HOPS = 32;
/** An IPv6 address with an IPv4 tail has 45 characters; brackets, a port and spaces come on top. */
const MAX_HOP_LENGTH = 64;

/**
 * The client's address behind trusted proxies: from the right, the first address that is not a trusted proxy's. An entry
 * that is no address ends the walk: what is left of it was written by whoever wrote it. So does the last hop that is
 * looked at.
 * @param chain all X-Forwarded-For values, in order, joined by commas.
 */
export function clientAddress(
  peerAddress: string,
  chain: string,
  trusted: net.BlockList | null,
): string {
  let client = peerAddress;
  let end = chain.length;
  for (let hops = 0; hops < MAX_HOPS && end >= 0; hops++) {
    // Not searched for beyond what an address can be: the rest may be kilobytes.
    const earliest = Math.max(0, end - MAX_HOP_LENGTH);
    const comma = chain.slice(earliest, end).lastIndexOf(',');
    if (comma === -1 && earliest > 0) return client;
    const start = comma === -1 ? 0 : earliest + comma + 1;
    const hop = stripPort(chain.slice(start, end).trim());
    if (!isAddress(hop)) return client;
    client = hop;
    if (!isTrusted(trusted, hop)) return client;
    end = start - 1;
  }
  return client;
}

/** A zone (`fe80::1%eth0`) means something on one machine only, and may be of any length. */
function isAddress(text: string): boolean {
  return net.isIP(text) !== 0 && !text.includes('%');
}

/** The client of a request that a trusted proxy has sent: what its X-Forwarded-For fields say, or the proxy itself. */
export function forwardedClient(
  head: Head,
  peerAddress: string,
  trusted: net.BlockList | null,
): string {
  const values: string[] = [];
  for (let field = 0; field < head.fieldCount; field++) {
    if (head.id(field) !== FIELD_FORWARDED_FOR) continue;
    values.push(head.value(field));
  }
  return values.length === 0 ? peerAddress : clientAddress(peerAddress, values.join(','), trusted);
}

/** `192.0.2.1:4711` and `[2001:db8::1]:4711` are seen in the wild. */
function stripPort(hop: string): string {
  if (hop.startsWith('['))
    return hop.slice(1, hop.indexOf(']') === -1 ? undefined : hop.indexOf(']'));
  const colon = hop.indexOf(':');
  return colon !== -1 && hop.indexOf(':', colon + 1) === -1 ? hop.slice(0, colon) : hop;
}
