/** What the forwarding rules need to know of a client's connection, under the rules of one view after the other. */

import type { ConnectionEnds } from '../../net/proxy-header.ts';
import type { View } from '../pool/view.ts';
import { BackendPin, type EndsSource } from '../relay/backend-pin.ts';
import type { DataContext } from '../relay/context.ts';
import type { ByteStream } from '../stream/byte-stream.ts';
import { ForwardContext } from '../wire/forward-request.ts';
import type { RequestHead } from '../wire/head.ts';
import type { ProxiedClient } from '../wire/proxy-protocol.ts';
import type { RequestFacts } from '../wire/request.ts';
import { challengeAnswer, type LoneAnswer } from './challenge-answer.ts';
import { isTrusted, normalizeAddress } from './client-address.ts';
import type { Http2FaultCount } from './http2-faults.ts';
import { httpsRedirect } from './https-redirect.ts';

/** How a connection came to us. */
export interface Carried {
  readonly isTls: boolean;
  /** What backends are told of the client's certificate, as lines of a head; empty where it was not asked for. */
  readonly clientFields: string;
  /** What a proxy has said of the client, in the place of its own address; null: the peer is the client. */
  readonly proxied: ProxiedClient | null;
  /** Requests are sent there: see https-redirect.ts; 0: they are served. */
  readonly httpsPort: number;
  /** Whether a request for this host may come on it: see `TlsSites.serves`. Null: any may. */
  readonly serves: ((host: string) => boolean) | null;
  /** Of its listener: where it is said that it was ended for an error of its client in HTTP/2. */
  readonly http2Faults: Http2FaultCount;
}

export class ConnectionContext implements EndsSource {
  /** The backend connections that are only for this one. */
  readonly pin = new BackendPin(this);
  readonly #stream: ByteStream;
  readonly #peerAddress: string;
  readonly #carried: Carried;
  readonly #protocol: ForwardContext['protocol'];
  #view: View;
  #current: ForwardContext;

  constructor(
    view: View,
    stream: ByteStream,
    carried: Carried,
    protocol: ForwardContext['protocol'] = 'HTTP/1.1',
  ) {
    this.#protocol = protocol;
    this.#peerAddress = carried.proxied?.address ?? normalizeAddress(stream.remoteAddress);
    this.#stream = stream;
    this.#carried = carried;
    this.#view = view;
    this.#current = this.#under(view);
  }

  get ends(): ConnectionEnds | null {
    return this.#carried.proxied ?? this.#stream.ends;
  }

  /** Whether the certificate that the client has seen is for this host. */
  isFor(host: string | null): boolean {
    const { serves } = this.#carried;
    return serves === null || host === null || serves(host);
  }

  /** A reload reaches open connections too. */
  under(view: View): ForwardContext {
    if (this.#view !== view) {
      this.#view = view;
      this.#current = this.#under(view);
    }
    return this.#current;
  }

  /**
   * What is answered without an exchange, behind which nothing follows: to a certificate authority that asks whether a name leads
   * here, and to a client that has to go to https. Null: it is served.
   */
  answeredAlone(
    context: DataContext,
    facts: RequestFacts,
    head: RequestHead,
    bytesIn: number,
  ): LoneAnswer | null {
    const { challenges } = this.#view.snapshot;
    if (challenges !== null) {
      const answer = challengeAnswer(context, challenges, facts, this.#current, bytesIn);
      if (answer !== null) return answer;
    }
    const { httpsPort } = this.#carried;
    if (httpsPort === 0) return null;
    const redirect = httpsRedirect(context, facts, head, this.#current, httpsPort, bytesIn);
    return redirect === null ? null : { head: redirect, body: '' };
  }

  #under(view: View): ForwardContext {
    const peerAddress = this.#peerAddress;
    return new ForwardContext(
      peerAddress,
      this.#carried.isTls ? 'https' : 'http',
      isTrusted(view.trustedProxies, peerAddress),
      view.forwardRules,
      this.#carried.clientFields,
      this.#protocol,
    );
  }
}
