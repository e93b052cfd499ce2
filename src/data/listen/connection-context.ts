/** What the forwarding rules need to know of a client's connection, under the rules of one view. */
import type { ByteStream } from '../stream/byte-stream.ts';
import type { View } from '../view.ts';
import { createForwardContext, type ForwardContext } from '../wire/forward-request.ts';
import { isTrusted, normalizeAddress } from './client-address.ts';

export function connectionContext(view: View, stream: ByteStream, isTls: boolean): ForwardContext {
  const { snapshot, trustedProxies } = view;
  const peerAddress = normalizeAddress(stream.remoteAddress);
  return createForwardContext(
    peerAddress,
    isTls ? 'https' : 'http',
    stream.localPort ?? snapshot.listener.port,
    isTrusted(trustedProxies, peerAddress),
    snapshot.forwarding.sendForwarded,
    snapshot.forwarding.hostHeader.kind !== 'client',
  );
}
