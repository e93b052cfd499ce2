/** What the forwarding rules need to know of a client's connection, under the rules of one view. */
import type { ByteStream } from '../stream/byte-stream.ts';
import type { View } from '../view.ts';
import { ForwardContext } from '../wire/forward-request.ts';
import { isTrusted, normalizeAddress } from './client-address.ts';

export function connectionContext(view: View, stream: ByteStream, isTls: boolean): ForwardContext {
  const peerAddress = normalizeAddress(stream.remoteAddress);
  return new ForwardContext(
    peerAddress,
    isTls ? 'https' : 'http',
    isTrusted(view.trustedProxies, peerAddress),
    view.forwardRules,
  );
}
