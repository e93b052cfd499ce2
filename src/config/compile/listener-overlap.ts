/** Whether two addresses can't be listened on side by side: by the system's rules, where it does not share ports. */
import { isIPv4 } from 'node:net';
import type { ListenerAddress } from '../../snapshot/snapshot.ts';
import { nameOfListener } from '../values/listener-name.ts';
import { canonicalIPv6 } from '../values/network-address.ts';

export function overlap(one: ListenerAddress, other: ListenerAddress): boolean {
  if (one.kind !== 'tcp' || other.kind !== 'tcp') {
    return nameOfListener(one) === nameOfListener(other);
  }
  if (one.port !== other.port) return false;
  const host = hostOf(one.host);
  const otherHost = hostOf(other.host);
  // All addresses of IPv6 are those of IPv4, too.
  if (host === '::' || otherHost === '::' || host === otherHost) return true;
  return (isIPv4(host) && otherHost === '0.0.0.0') || (isIPv4(otherHost) && host === '0.0.0.0');
}

/** In one spelling: an address of IPv4 that is written as one of IPv6 is the same one (RFC 4291 §2.5.5.2). */
function hostOf(written = '::'): string {
  const host = canonicalIPv6(written) ?? written.toLowerCase();
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(host);
  if (mapped === null) return host;
  const groups = mapped.slice(1).map((group) => Number.parseInt(group, 16));
  return groups.flatMap((group) => [group >> 8, group & 0xff]).join('.');
}
