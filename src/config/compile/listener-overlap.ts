/** Whether two addresses can't be listened on side by side: by the system's rules, where it does not share ports. */
import { isIPv4 } from 'node:net';
import type { ListenerAddress } from '../../snapshot/snapshot.ts';
import { nameOfListener } from '../values/listener-name.ts';
import { canonicalHost } from '../values/network-address.ts';

export function overlap(one: ListenerAddress, other: ListenerAddress): boolean {
  if (one.kind !== 'tcp' || other.kind !== 'tcp') {
    return nameOfListener(one) === nameOfListener(other);
  }
  if (one.port !== other.port) return false;
  const host = canonicalHost(one.host ?? '::');
  const otherHost = canonicalHost(other.host ?? '::');
  // All addresses of IPv6 are those of IPv4, too.
  if (host === '::' || otherHost === '::' || host === otherHost) return true;
  return (isIPv4(host) && otherHost === '0.0.0.0') || (isIPv4(otherHost) && host === '0.0.0.0');
}
