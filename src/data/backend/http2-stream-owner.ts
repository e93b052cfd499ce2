import type { ErrorCode } from '../../errors.ts';
import type { ConnectionOwner } from './backend-connection.ts';
import type { OwnedStream } from './http2-owned-stream.ts';
import type { SendTurns } from './http2-send-turns.ts';

/** An HTTP/2 connection to a backend, as its streams see it. */
export interface StreamOwner {
  readonly backend: ConnectionOwner;
  readonly connection: { readonly openedAtMs: number };
  readonly turns: SendTurns;
  /** RFC 8441 §3. */
  readonly hasConnectProtocol: boolean;
  /** Gives the stream its number, and sends the head of its request. @param authority in place of its Host field */
  sendRequest(
    stream: OwnedStream,
    head: string,
    authority: string,
    protocol: string,
    endsStream: boolean,
  ): void;
  /** The backend wants HTTP/1.1 (RFC 9113 §7). @returns whether it is to have that: with `auto` it may choose. */
  requireHttp1(): boolean;
  /** It fails, once this round is over. */
  failLater(stream: OwnedStream, code: ErrorCode, detail: string): void;
  /** It is over. */
  leave(stream: OwnedStream): void;
}
