/**
 * One exchange's share of a connection to a backend, at the level of messages: all of the connection in HTTP/1.1, one of many
 * in HTTP/2. Who uses it knows heads, bodies and ends; how they are written on the wire is the stream's business.
 */
import type { ErrorCode } from '../../errors.ts';
import type { Victim } from '../barrier.ts';
import type { ConnectionOptions } from '../wire/connection-options.ts';
import type { ForwardedRequest } from '../wire/forward-request.ts';
import type { ResponseHead } from '../wire/head.ts';
import type { RequestFacts } from '../wire/request.ts';
import type {
  BackendConnection,
  ConnectionOwner,
  ConnectionUser,
  KeepTerms,
} from './backend-connection.ts';

/** Of a body: it ends where its end is said. */
export const UNKNOWN_LENGTH = -1;

/** How a response begins; lent, as its head is. */
export interface ResponseStart {
  readonly head: ResponseHead;
  readonly options: ConnectionOptions;
  /** Bytes of the body that follows; 0: none, whatever the fields say; `UNKNOWN_LENGTH`. */
  readonly bodyLength: number;
  /** The Content-Length that it states is not that of its body: nobody should read it. */
  readonly misstatesLength: boolean;
}

/** How a request begins, ready to go out. */
export interface RequestStart {
  readonly facts: RequestFacts;
  readonly forwarded: ForwardedRequest;
}

/** Told what becomes of a request, from `Backend.acquire` until it finishes or cancels the stream. */
export interface BackendStreamUser extends Victim {
  /** Only before `onConnected`: the request goes over this one in place of the one that it was given. */
  onMoved(stream: BackendStream): void;
  /** Only after an `acquire` that had to connect. */
  onConnected(): void;
  onConnectFailed(code: ErrorCode, detail: string): void;
  /** The head of an interim response, or of the final one. The stream may be cancelled within the call. */
  onHead(start: ResponseStart): void;
  /** `buffer[start, end)` is a part of the body, borrowed for the length of the call. */
  onBody(buffer: Buffer, start: number, end: number): void;
  /** All that has come so far has been told, and more is to come: what was gathered of it may leave. */
  onFlush(): void;
  /** The response is complete. @param trailers whole field lines */
  onEnd(trailers: string): void;
  /** The backend has switched protocols, as asked for. `rest`: what has come behind the head. */
  onSwitched(start: ResponseStart, rest: Buffer, isWebSocket: boolean): void;
  /** There will be no complete response. What was told of it so far was well-formed. */
  onFailed(code: ErrorCode, detail: string): void;
  /** More of the request may be sent; or nothing that is sent leaves any more, but the response may still come. */
  onRoom(): void;
  /** The backend is taken out of use, and what is under way there is not waited for. */
  onCutOff(): void;
}

/** Where a connection goes that only the client of the last request may use: see backend-pin.ts. */
export interface ConnectionHolder {
  hold(connection: BackendConnection): void;
}

/** The bytes of a tunnel: see `BackendConnection`, which is one. */
export interface TunnelConnection {
  readonly backend: ConnectionOwner;
  readonly needsDrain: boolean;
  readonly isFlushed: boolean;
  assign(user: ConnectionUser): void;
  writeBorrowed(buffer: Buffer, start: number, end: number): void;
  pause(): void;
  resume(): void;
  rest(): void;
  end(): void;
  enableTcpKeepAlive(): void;
}

export interface BackendStream {
  readonly isHttp2: boolean;
  /** Its connection carried a request before: no `onConnected` follows. */
  readonly isReused: boolean;
  /** When its connection was opened, on the precise clock; 0: it is not yet, or that is not known. */
  readonly openedAtMs: number;
  /** Something of a response has come. */
  readonly hasAnswered: boolean;
  /** No more should be sent until `onRoom`. */
  readonly needsDrain: boolean;
  /** Memory that waits for either side. */
  readonly heldBytes: number;

  /** @param length of the body; 0 as well where there is none. An unknown one ends with `end`. */
  sendHead(start: RequestStart, host: string, length: number): void;
  /** `buffer[start, end)` is the caller's again when this returns. */
  sendBody(buffer: Buffer, start: number, end: number): void;
  /** The bytes must stay untouched from now on. */
  sendOwned(bytes: Buffer): void;
  /** The body is complete. @param trailers whole field lines */
  end(trailers: string): void;
  /** What was sent since the last call leaves, as far as can be in one write. */
  flush(): void;

  pause(): void;
  resume(): void;

  /** The response is complete, and so is the request: the connection is kept if it can be used again. */
  finish(nowMs: number, terms: KeepTerms, limit: number, holder: ConnectionHolder): void;
  /** What is under way is called off. */
  cancel(): void;
  /** After `onSwitched`: the bytes of the tunnel. It ends with `cancel`. */
  tunnel(): TunnelConnection;
  /** After an exception: closes whatever state it is in. */
  giveUp(): void;
}
