/**
 * What we say of a client at the beginning of a connection to a backend: the PROXY protocol
 * (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
 */
import net from 'node:net';

export type ProxyVersion = 'v1' | 'v2';

/** Both ends of the client's connection. Addresses as the system says them. */
export interface ConnectionEnds {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
}

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const LOCAL = 0x20;
const PROXY = 0x21;
const UNSPECIFIED = 0x00;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;

/** A connection of our own: a health check. */
const OWN: Readonly<Record<ProxyVersion, Buffer>> = {
  v1: Buffer.from('PROXY UNKNOWN\r\n'),
  v2: version2(LOCAL, UNSPECIFIED, Buffer.alloc(0)),
};
/** A connection for a client without addresses. */
const NAMELESS: Readonly<Record<ProxyVersion, Buffer>> = {
  v1: OWN.v1,
  v2: version2(PROXY, UNSPECIFIED, Buffer.alloc(0)),
};

/** Of a connection that is for no client. */
export function ownHeader(version: ProxyVersion): Buffer {
  return OWN[version];
}

/** @param ends null: the client has come by a unix socket. */
export function clientHeader(version: ProxyVersion, ends: ConnectionEnds | null): Buffer {
  if (ends === null) return NAMELESS[version];
  const from = unmapped(ends.address);
  const to = unmapped(ends.localAddress);
  const source = net.isIP(from);
  const destination = net.isIP(to);
  if (source === 0 || destination === 0) return NAMELESS[version];
  // Both are of one family: an address of IPv4 is also one of IPv6.
  const isIPv4 = source === 4 && destination === 4;
  const address = isIPv4 || source === 6 ? from : `::ffff:${from}`;
  const local = isIPv4 || destination === 6 ? to : `::ffff:${to}`;
  if (version === 'v1') {
    const protocol = isIPv4 ? 'TCP4' : 'TCP6';
    return Buffer.from(`PROXY ${protocol} ${address} ${local} ${ends.port} ${ends.localPort}\r\n`);
  }
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(ends.port, 0);
  ports.writeUInt16BE(ends.localPort, 2);
  const bytesOf = isIPv4 ? bytesOfIPv4 : bytesOfIPv6;
  const addresses = Buffer.concat([bytesOf(address), bytesOf(local), ports]);
  return version2(PROXY, isIPv4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6, addresses);
}

/** IPv4 in its own form, and no zone: that means something on one machine only. */
function unmapped(address: string): string {
  const [bare = ''] = address.split('%');
  return bare.startsWith('::ffff:') && bare.includes('.') ? bare.slice(7) : bare;
}

function version2(command: number, protocol: number, addresses: Buffer): Buffer {
  const fixed = Buffer.from([command, protocol, addresses.length >> 8, addresses.length & 0xff]);
  return Buffer.concat([SIGNATURE, fixed, addresses]);
}

function bytesOfIPv4(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

/** RFC 4291 §2.2: groups of four hexadecimal digits, one run of zeros left out, the last two perhaps as IPv4. */
function bytesOfIPv6(text: string): Buffer {
  const [head = '', tail] = text.split('::');
  const before = bytesOfGroups(head);
  const after = bytesOfGroups(tail ?? '');
  return Buffer.concat([before, Buffer.alloc(16 - before.length - after.length), after]);
}

function bytesOfGroups(text: string): Buffer {
  if (text === '') return Buffer.alloc(0);
  const parts = text.split(':').map((group) => {
    if (group.includes('.')) return bytesOfIPv4(group);
    const value = Number.parseInt(group, 16);
    return Buffer.from([value >> 8, value & 0xff]);
  });
  return Buffer.concat(parts);
}
