/** A listener's address in one word, as logs, errors and the admin API have it. */
import type { ListenerAddress } from '../../snapshot/snapshot.ts';

export function nameOfListener(address: ListenerAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  if (address.kind === 'inherited') return `fd:${address.name}`;
  return `${address.host === undefined ? '*' : bracketed(address.host)}:${address.port}`;
}

export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** Where it is reached on this machine: who listens on all addresses is there as localhost. */
export function urlOfListener(address: ListenerAddress, isTls: boolean): string {
  if (address.kind !== 'tcp') return nameOfListener(address);
  const { host } = address;
  const isEverywhere = host === undefined || host === '0.0.0.0' || host === '::';
  const name = isEverywhere ? 'localhost' : bracketed(host);
  return `${isTls ? 'https' : 'http'}://${name}:${address.port}`;
}
