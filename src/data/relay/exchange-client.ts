/** The client's connection, as its exchange sees it: what an exchange needs of HTTP/1.1 today, of a stream tomorrow. */
import type { Victim } from '../barrier.ts';
import type { TunnelClient } from './tunnel.ts';

export interface ExchangeClient extends TunnelClient, Victim {
  readonly isTls: boolean;
  /** Bytes written on this connection so far. */
  readonly bytesOut: number;
  /** Bytes that wait in user space for the client to read; shrinks as it does. */
  readonly unsentBytes: number;
  /** When `onDeadline` is called, on the awake clock. */
  deadlineMs: number;
  /** Bytes that came early and wait; they are the caller's from now on. */
  takeInput(): Buffer | null;
  /** Closes so that the client can't take what it has for a complete response. */
  reset(): void;
  /** The response is complete. `closes`: nothing may follow it. */
  exchangeDone(closes: boolean): void;
}
