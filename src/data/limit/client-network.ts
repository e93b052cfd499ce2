/**
 * Whom a limit takes for one client: an IPv4 address, or the /64 of an IPv6 address.
 *
 * A subscriber gets at least a /64 and chooses the addresses in it freely (RFC 7421 §1, RFC 8981), so that a limit by
 * IPv6 address would bind nobody who doesn't want to be bound.
 */

const COLON = ':';
/** `::ffff:0:0/96`, IPv4 addresses in IPv6's form (RFC 4291 §2.5.5.2), spelled as below. */
const MAPPED_GROUP = 5;

/**
 * @param address an IP address in any of its spellings, with a zone or without.
 * @returns an IPv4 address as it is, also where it is mapped into IPv6; of an IPv6 address the network, spelled one way.
 * What is no address stands for itself.
 */
export function clientNetwork(address: string): string {
  // Nearly all of the traffic, and nothing is made.
  if (!address.includes(COLON)) return address;
  const groups = ipv6Groups(address);
  if (groups === null) return address;
  if (isMapped(groups)) return ipv4Of(groups[6] as number, groups[7] as number);
  const prefix = groups.slice(0, 4).map((group) => group.toString(16));
  return `${prefix.join(COLON)}::/64`;
}

/** The eight groups of an IPv6 address, whatever its zone; null when it is none. */
export function ipv6Groups(address: string): readonly number[] | null {
  const zone = address.indexOf('%');
  return groupsOf(zone === -1 ? address : address.slice(0, zone));
}

function groupsOf(address: string): readonly number[] | null {
  const gap = address.indexOf('::');
  if (gap === -1) return sized(parseGroups(address), 8);
  // An IPv4 address is the end of an address only.
  const before = address.slice(0, gap).includes('.') ? null : parseGroups(address.slice(0, gap));
  const after = parseGroups(address.slice(gap + 2));
  if (before === null || after === null) return null;
  const missing = 8 - before.length - after.length;
  if (missing < 1) return null;
  return [...before, ...Array.from({ length: missing }, () => 0), ...after];
}

function sized(groups: readonly number[] | null, length: number): readonly number[] | null {
  return groups?.length === length ? groups : null;
}

/** Groups between single colons; the last may be an IPv4 address, which is two. */
function parseGroups(text: string): readonly number[] | null {
  if (text === '') return [];
  const parts = text.split(COLON);
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (index === parts.length - 1 && part.includes('.')) {
      const octets = parseOctets(part);
      if (octets === null) return null;
      const [a, b, c, d] = octets as [number, number, number, number];
      groups.push(a * 256 + b, c * 256 + d);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(part)) return null;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

function parseOctets(text: string): readonly number[] | null {
  if (!/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text)) return null;
  const octets = text.split('.').map(Number);
  return octets.every((octet) => octet <= 255) ? octets : null;
}

/** Whether it is an IPv4 address in the form of IPv6. */
export function isMapped(groups: readonly number[]): boolean {
  if (groups[MAPPED_GROUP] !== 0xff_ff) return false;
  return groups.slice(0, MAPPED_GROUP).every((group) => group === 0);
}

function ipv4Of(high: number, low: number): string {
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}
