/** The contract between the planes: what is known of a request that is over, as `GET /requests` shows it. */
import type { ErrorCode } from '../errors.ts';

export interface KeptAttempt {
  readonly backendUrl: string;
  readonly isHttp2: boolean;
  readonly isReused: boolean;
  /** As in the access log. */
  readonly chosen: string;
  /** Of the backend's answer; 0: none came. */
  readonly status: number;
  readonly outcome: string;
  readonly durationMs: number;
  /** Null: it has not failed. */
  readonly failure: AttemptFailure | null;
}

/** Of an attempt that has failed. */
export interface AttemptFailure {
  /** Until its connection was open; −1: it never was, or was before. */
  readonly connectMs: number;
  /** Of its connection when it ended; −1: it never was open, or that is not known (HTTP/2). */
  readonly connectionAgeMs: number;
  /** The head of the request went out. */
  readonly isSent: boolean;
  /** Of the request's body, those that went out. */
  readonly bodyBytes: number;
  /** Why no further attempt followed: see relay/retry-decision.ts; null: one did, or nobody was asked. */
  noRetry: string | null;
}

export interface KeptRequest {
  readonly thread: number;
  /** When it ended, in ms since 1970. */
  readonly atMs: number;
  readonly requestId: string;
  readonly clientAddress: string;
  /** Null where the head could not be read. */
  readonly method: string | null;
  readonly host: string | null;
  /** Without what the access log leaves out of it. */
  readonly path: string | null;
  readonly protocol: string | null;
  readonly status: number;
  /** Null: the client got all of it. */
  readonly ended: string | null;
  readonly error: ErrorCode | null;
  readonly errorDetail: string;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  /** Negative: the phase was not reached. */
  readonly queueMs: number;
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly route: string | null;
  readonly part: string | null;
  readonly pool: string;
  readonly attempts: readonly KeptAttempt[];
}
