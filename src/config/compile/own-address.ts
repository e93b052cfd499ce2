/** Whether a backend is Fairlead itself: a request to it would come back, and the next, until something gives way. */
import { isIPv4 } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import type { ListenerAddress } from '../../snapshot/snapshot.ts';
import type { BackendAddress, Settings } from '../settings.ts';
import { canonicalHost, canonicalIPv6, isLoopback } from '../values/network-address.ts';

interface Listening {
  readonly listeners: readonly { readonly address: ListenerAddress }[];
  readonly admin: Pick<Settings['admin'], 'host' | 'port' | 'isOff' | 'unix'>;
}

/** The name and the addresses of this machine. The system is asked when one is needed, and once for a whole list of backends. */
export class OwnMachine {
  #name: string | undefined;
  #addresses: ReadonlySet<string> | undefined;

  isCalled(host: string): boolean {
    const canonical = isIPv4(host) ? host : canonicalIPv6(host);
    if (canonical === undefined) {
      this.#name ??= hostname().toLowerCase();
      return host === this.#name;
    }
    this.#addresses ??= new Set(
      Object.values(networkInterfaces()).flatMap((addresses) =>
        (addresses ?? []).map(({ address }) => canonicalIPv6(address) ?? address),
      ),
    );
    return this.#addresses.has(canonical);
  }
}

/** A sentence about it, or undefined. What only a name server knows is not looked up: such a request is answered 508. */
export function describeOwnAddress(
  { url, host: written, port, socketPath }: BackendAddress,
  { listeners, admin }: Listening,
  machine = new OwnMachine(),
): string | undefined {
  const host = asConnected(written);
  const isOwn = listeners.some(({ address }) => {
    if (address.kind === 'unix') return socketPath === address.path;
    if (address.kind !== 'tcp' || socketPath !== '') return false;
    return port === address.port && isServedAt(host, address.host, machine);
  });
  if (isOwn) {
    return `${url} is where Fairlead itself listens: every request to it would come back`;
  }
  if (admin.isOff) return undefined;
  const isAdmin =
    admin.unix === null
      ? socketPath === '' && port === admin.port && isServedAt(host, admin.host, machine)
      : socketPath === admin.unix.path;
  if (isAdmin) {
    return `${url} is the admin API of Fairlead itself: clients would reach it`;
  }
  return undefined;
}

/** RFC 6761 §6.3: whatever is below `localhost` is this machine. A name may end with a dot. */
function asConnected(written: string): string {
  const host = canonicalHost(written).replace(/\.$/, '');
  return host.endsWith('.localhost') ? 'localhost' : host;
}

/** @param listenHost undefined: all addresses. */
function isServedAt(host: string, listenHost: string | undefined, machine: OwnMachine): boolean {
  const isAny = listenHost === undefined || isUnspecified(listenHost);
  if (isUnspecified(host)) return isAny || isLoopback(listenHost);
  if (isLoopback(host)) {
    if (isAny) return true;
    const isName = host === 'localhost' || listenHost.toLowerCase() === 'localhost';
    return isLoopback(listenHost) && (isName || sameHost(host, listenHost));
  }
  return isAny ? machine.isCalled(host) : sameHost(host, listenHost);
}

function isUnspecified(host: string): boolean {
  return host === '0.0.0.0' || canonicalIPv6(host) === '::';
}

function sameHost(one: string, other: string): boolean {
  if (one.toLowerCase() === other.toLowerCase()) return true;
  const canonical = canonicalIPv6(one);
  return canonical !== undefined && canonical === canonicalIPv6(other);
}
