/** What the forwarding rules need to know of a client's connection, under the rules of one view. */
import type net from 'node:net';
import type { View } from '../view.ts';
import { createForwardContext, type ForwardContext } from '../wire/forward-request.ts';
import { isTrusted, normalizeAddress } from './client-address.ts';

export function connectionContext(view: View, socket: net.Socket, isTls: boolean): ForwardContext {
  const { snapshot, trustedProxies } = view;
  const peerAddress = normalizeAddress(socket.remoteAddress);
  return createForwardContext(
    peerAddress,
    isTls ? 'https' : 'http',
    socket.localPort ?? snapshot.listener.port,
    isTrusted(trustedProxies, peerAddress),
    snapshot.forwarding.sendForwarded,
    snapshot.forwarding.hostHeader.kind !== 'client',
  );
}
