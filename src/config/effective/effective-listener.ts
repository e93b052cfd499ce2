/** The listeners in the words of a config file: a part of effective.ts. */
import type { ProxyProtocol } from '../../snapshot/snapshot.ts';
import type { ListenerSettings, Settings } from '../settings.ts';
import { tlsOf } from './effective-tls.ts';

/** Those of the long form; none: there are only the keys of the one of `port`. */
export function listenersOf({ listeners }: Settings) {
  const written = listeners.filter(({ path }) => path !== 'port');
  return written.length === 0 ? {} : { listeners: written.map(listenerOf) };
}

function listenerOf(listener: ListenerSettings): Readonly<Record<string, unknown>> {
  const { address, tls, proxyProtocol, httpsPort, http2, h2c } = listener;
  return {
    ...addressOf(address),
    redirect_to_https: httpsPort !== 0,
    ...(tls ? { http2, tls: tlsOf(tls) } : { h2c }),
    ...(proxyProtocol && { proxy_protocol: { from: peersOf(proxyProtocol) } }),
  };
}

function peersOf({ from, fromUnix }: ProxyProtocol): string[] {
  return [...from, ...(fromUnix ? ['unix'] : [])];
}

function addressOf(address: ListenerSettings['address']): Readonly<Record<string, unknown>> {
  if (address.kind === 'inherited') return { fd: address.name };
  if (address.kind === 'unix') return { unix: address.path, mode: formatMode(address.mode) };
  return { port: address.port, host: address.host ?? '*' };
}

export function formatMode(mode: number): string {
  return `0${mode.toString(8).padStart(3, '0')}`;
}
