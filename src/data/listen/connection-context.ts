/** What the forwarding rules need to know of a client's connection, under the rules of one view after the other. */

import type { View } from '../pool/view.ts';
import type { ByteStream } from '../stream/byte-stream.ts';
import { ForwardContext } from '../wire/forward-request.ts';
import type { ProxiedClient } from '../wire/proxy-protocol.ts';
import { isTrusted, normalizeAddress } from './client-address.ts';

/** How a connection came to us. */
export interface Carried {
  readonly isTls: boolean;
  /** What backends are told of the client's certificate, as lines of a head; empty where it was not asked for. */
  readonly clientFields: string;
  /** What a proxy has said of the client, in the place of its own address; null: the peer is the client. */
  readonly proxied: ProxiedClient | null;
}

export class ConnectionContext {
  readonly #peerAddress: string;
  readonly #carried: Carried;
  #view: View;
  #current: ForwardContext;

  constructor(view: View, stream: ByteStream, carried: Carried) {
    this.#peerAddress = carried.proxied?.address ?? normalizeAddress(stream.remoteAddress);
    this.#carried = carried;
    this.#view = view;
    this.#current = this.#under(view);
  }

  /** A reload reaches open connections too. */
  under(view: View): ForwardContext {
    if (this.#view !== view) {
      this.#view = view;
      this.#current = this.#under(view);
    }
    return this.#current;
  }

  #under(view: View): ForwardContext {
    const peerAddress = this.#peerAddress;
    return new ForwardContext(
      peerAddress,
      this.#carried.isTls ? 'https' : 'http',
      isTrusted(view.trustedProxies, peerAddress),
      view.forwardRules,
      this.#carried.clientFields,
    );
  }
}
