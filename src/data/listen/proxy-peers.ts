/** From which peers a listener expects the PROXY protocol, and takes it. */
import type net from 'node:net';
import type { ProxyProtocol } from '../../snapshot/snapshot.ts';
import { compileBlocks } from '../pool/view.ts';
import { isTrusted, normalizeAddress } from './client-address.ts';

export interface ProxyPeers {
  /** @param address of the peer; empty: it has come by a unix socket. */
  includes(address: string | undefined): boolean;
}

/** Null: from nobody. */
export function proxyPeers(proxyProtocol: ProxyProtocol | null): ProxyPeers | null {
  if (proxyProtocol === null) return null;
  const { from, fromUnix } = proxyProtocol;
  const blocks: net.BlockList | null = compileBlocks(from);
  return {
    includes: (address) =>
      address === '' ? fromUnix : isTrusted(blocks, normalizeAddress(address)),
  };
}
