/**
 * Whether an address is in one of many CIDR blocks: one look-up for each length of a prefix that there is, however many blocks
 * have it. An IPv4 address is the same in its own form and in IPv6's (RFC 4291 §2.5.5.2), and so is a block of them.
 */
import { ipv6Groups, isMapped } from './client-network.ts';

const MAPPED_BITS = 96;
const NONE = -1;

export class AddressBlocks {
  /** By the length of the prefix: the first addresses of the blocks. */
  readonly #ipv4 = new Map<number, Set<number>>();
  readonly #ipv6 = new Map<number, Set<string>>();

  /** @param blocks as in `10.0.0.0/8`, checked. */
  constructor(blocks: readonly string[]) {
    for (const block of blocks) {
      const [address = '', prefix] = block.split('/');
      this.#add(address, Number(prefix));
    }
  }

  #add(address: string, bits: number): void {
    const groups = address.includes(':') ? ipv6Groups(address) : null;
    if (groups !== null && !(isMapped(groups) && bits >= MAPPED_BITS)) {
      setOf(this.#ipv6, bits).add(networkOf(groups, bits));
      return;
    }
    const value = groups === null ? parseIpv4(address) : lastIpv4(groups);
    const bitsOfIpv4 = groups === null ? bits : bits - MAPPED_BITS;
    setOf(this.#ipv4, bitsOfIpv4).add(masked(value, bitsOfIpv4));
  }

  /** What is no address is in none. */
  has(address: string): boolean {
    if (!address.includes(':')) return this.#hasIpv4(parseIpv4(address));
    const groups = ipv6Groups(address);
    if (groups === null) return false;
    if (isMapped(groups)) return this.#hasIpv4(lastIpv4(groups));
    for (const [bits, networks] of this.#ipv6) {
      if (networks.has(networkOf(groups, bits))) return true;
    }
    return false;
  }

  #hasIpv4(value: number): boolean {
    if (value === NONE) return false;
    for (const [bits, networks] of this.#ipv4) {
      if (networks.has(masked(value, bits))) return true;
    }
    return false;
  }
}

function setOf<Network>(sets: Map<number, Set<Network>>, bits: number): Set<Network> {
  const known = sets.get(bits);
  if (known !== undefined) return known;
  const made = new Set<Network>();
  sets.set(bits, made);
  return made;
}

/** Four numbers up to 255; without a regular expression, since every request pays for it. */
function parseIpv4(address: string): number {
  let value = 0;
  let octet = 0;
  let digits = 0;
  let dots = 0;
  for (let index = 0; index < address.length; index++) {
    const code = address.charCodeAt(index);
    if (code === 0x2e) {
      if (digits === 0) return NONE;
      value = value * 256 + octet;
      octet = 0;
      digits = 0;
      dots++;
    } else {
      const digit = code - 0x30;
      if (digit < 0 || digit > 9) return NONE;
      octet = octet * 10 + digit;
      if (++digits > 3 || octet > 255) return NONE;
    }
  }
  return dots === 3 && digits > 0 ? value * 256 + octet : NONE;
}

function lastIpv4(groups: readonly number[]): number {
  return (groups[6] as number) * 65_536 + (groups[7] as number);
}

/** A shift by 32 would be one by 0. */
function masked(value: number, bits: number): number {
  return bits === 0 ? 0 : (value & (0xff_ff_ff_ff << (32 - bits))) >>> 0;
}

/** Its first bits, a character for each group. */
function networkOf(groups: readonly number[], bits: number): string {
  let network = '';
  for (let index = 0; index * 16 < bits; index++) {
    const left = bits - index * 16;
    const mask = left >= 16 ? 0xff_ff : (0xff_ff << (16 - left)) & 0xff_ff;
    network += String.fromCharCode((groups[index] as number) & mask);
  }
  return network;
}
