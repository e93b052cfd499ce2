/** Which addresses a host has, and in which order they are tried: the same for requests and for health checks. */
import dns from 'node:dns';
import net from 'node:net';

export interface Address {
  readonly address: string;
  readonly family: number;
}

export type Answered = (error: Error | null, addresses: readonly Address[]) => void;

/** Of a host that is an address; null: it is a name. */
export function literalAddress(host: string): readonly Address[] | null {
  const family = net.isIP(host);
  return family === 0 ? null : [{ address: host, family }];
}

/** Of a Unix socket. */
export function atPath(path: string): readonly Address[] {
  return [{ address: path, family: 0 }];
}

/** Asks the system, in the order of whose answer they are told; none of a family that this machine does not have. */
export function askSystem(host: string, onAnswer: Answered): void {
  dns.lookup(host, { all: true, hints: dns.ADDRCONFIG }, onAnswer);
}

/** Each once. The families take turns, that of the first address first: RFC 8305 §4. */
export function interleaved(answer: readonly Address[]): readonly Address[] {
  const addresses = [...new Map(answer.map((one) => [one.address, one])).values()];
  const first = addresses.filter(({ family }) => family === addresses[0]?.family);
  const second = addresses.filter(({ family }) => family !== addresses[0]?.family);
  const all: Address[] = [];
  for (let index = 0; all.length < addresses.length; index++) {
    all.push(...first.slice(index, index + 1), ...second.slice(index, index + 1));
  }
  return all;
}

export function notFound(host: string): Error {
  return Object.assign(new Error(`${host} has no address`), { code: 'ENOTFOUND' });
}
