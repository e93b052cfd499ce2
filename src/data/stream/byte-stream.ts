/**
 * One connection’s bytes, whatever carries them: a handle (tcp-stream.ts, tls-stream.ts) or one of Node’s sockets (socket-stream.ts).
 */

import type { ConnectionEnds } from '../../net/proxy-header.ts';
import type { Victim } from '../barrier.ts';

/** Whoever has the stream. Nothing is called any more once it has destroyed or reset it. */
export interface StreamUser extends Victim {
  /** Bytes arrived in `buffer[0, length)`, borrowed for the length of the call. */
  onBytes(buffer: Buffer, length: number): void;
  /** The peer's FIN, in its place among the bytes. */
  onEnd(): void;
  /** All that waited has left: more may be written. */
  onDrain(): void;
  /** Nothing that is written any more will leave. Reading goes on, until its own end. Never called from within a write. */
  onWriteFailed(detail: string): void;
  /** The stream broke, or both directions have ended: it is closed. */
  onClosed(detail: string): void;
}

export interface ByteStream {
  /** More waits than should: the user stops writing until `onDrain`. */
  readonly needsDrain: boolean;
  /** Bytes in user space that wait to leave; shrinks as the peer reads. */
  readonly unsentBytes: number;
  /** Memory that the bytes that wait take, and the reading of more. */
  readonly heldBytes: number;
  /** Nothing waits in user space. */
  readonly isFlushed: boolean;
  /** Without a leading `::ffff:` or not, as the system says; undefined once the connection is gone. */
  readonly remoteAddress: string | undefined;
  /** Null once the connection is gone, and of a unix socket. */
  readonly ends: ConnectionEnds | null;
  /** The peer has reset the connection, though what was read may have looked like an end in order. */
  readonly isReset: boolean;
  /** Over TLS: the peer's FIN came without close_notify, and may be anybody's on the way (RFC 9112 §9.8). */
  readonly hasBareEnd: boolean;

  /** Latin-1 text. */
  writeText(text: string): void;
  /** The bytes are the stream's from now on. */
  writeBytes(bytes: Buffer): void;
  /** Writes `buffer[start, end)`, which is the caller's again when this returns. */
  writeBorrowed(buffer: Buffer, start: number, end: number): void;
  /** What is written until `uncork` leaves in one system call, if the system takes it. */
  cork(): void;
  uncork(): void;

  pause(): void;
  resume(): void;
  /**
   * Called within `onBytes`: no more bytes are expected for a while, so memory that was lent for them is given back. Holds
   * until the next bytes.
   */
  rest(): void;

  /** FIN after what was written. Once the peer has ended as well, the stream closes by itself. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
  /** Closes so that the peer can't take it for an end in order: with a reset, or over TLS without close_notify. */
  reset(): void;
  /** The system notices a dead peer after `idleMs` and some probes. */
  enableTcpKeepAlive(idleMs: number): void;
}
