/**
 * The client's side of an exchange, at the level of messages: its connection in HTTP/1.1, one of many streams on it in HTTP/2.
 * How heads, bodies and ends are written for the client is the responder's business; so is what becomes of its connection.
 */
import type { ErrorCode } from '../../errors.ts';
import type { ResponseStart } from '../backend/backend-stream.ts';
import type { Victim } from '../barrier.ts';
import type { RedirectRule } from '../wire/location.ts';
import type { Leaving } from './ledger.ts';
import type { OwnAnswer } from './own-answers.ts';
import type { TunnelClient } from './tunnel.ts';

export interface Responder extends Victim {
  readonly isTls: boolean;
  /** Bytes written for this exchange so far; of an answer that is complete, with those that wait for the client. */
  readonly bytesOut: number;
  /** Something of the final response has left us: it can't be taken back. */
  readonly isCommitted: boolean;
  /** No more should be sent until `onClientDrain`. */
  readonly needsDrain: boolean;
  /** When `onDeadline` is called, on the awake clock. */
  deadlineMs: number;

  /** @returns whether it was relayed: not every client knows interim responses. It leaves at once. */
  sendInterim(start: ResponseStart): boolean;
  /**
   * The head of the final response. What follows it up to `flush` or `end` leaves together with it.
   * @param addedFields whole field lines of ours.
   * @param redirects what redirects to the backend's own address are to say; null: they pass as they come.
   * @param isRequestOpen the client has not sent all of its request.
   */
  sendHead(
    start: ResponseStart,
    addedFields: string,
    redirects: RedirectRule | null,
    isRequestOpen: boolean,
  ): void;
  /** Sends `buffer[start, end)`, borrowed for the length of the call. */
  sendBody(buffer: Buffer, start: number, end: number): void;
  /** @returns whether anything has been sent since it was last called. */
  flush(): boolean;
  /** The response is complete. @param trailers whole field lines. @returns what of it waits for the client; null: nothing */
  end(trailers: string): Leaving | null;
  /** A complete answer of ours, in place of all that was not flushed. Only while nothing is committed. @returns as `end` */
  ownAnswer(answer: OwnAnswer, isRequestOpen: boolean): Leaving | null;
  /** The backend has switched protocols: from its answer on there are only bytes. */
  startTunnel(start: ResponseStart, addedFields: string): TunnelClient;

  /** Whether the client has read something since this was last asked, though it may have been too little for a drain. */
  hasRead(): boolean;
  pause(): void;
  resume(): void;
  /** Bytes that came early and wait; they are the caller's from now on. */
  takeInput(): Buffer | null;
  /** Ends it so that the client can't take what it has for a complete response. @param code why */
  reset(code: ErrorCode): void;
  /** The response has been sent as a whole, and the exchange is over. */
  exchangeDone(): void;
}
