/** The contract between the planes: what is known of a request that is over, as `GET /requests` shows it. */
import type { ErrorCode } from '../errors.ts';

export interface KeptAttempt {
  readonly backendUrl: string;
  /** What its backend was spoken to in; else HTTP/1.1. */
  readonly isHttp2: boolean;
  /** Its connection had carried a request before. */
  readonly isReused: boolean;
  /** As in the access log. */
  readonly chosen: string;
  /** Of the backend's answer; 0: none came. */
  readonly status: number;
  /** `ok`, the error code of the failure, or `called_off`: it was not waited for. */
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

/** What the access log tells of a request as well. */
export interface RequestRecord {
  readonly requestId: string;
  readonly clientAddress: string;
  /** Null where the head could not be read. */
  readonly method: string | null;
  readonly host: string | null;
  readonly path: string | null;
  readonly protocol: string | null;
  /** What the client got; `NOTHING_SENT` where that was nothing. */
  readonly status: number;
  /** Null: it got all of it. */
  readonly ended: string | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  /** Negative: the phase was not reached. */
  readonly queueMs: number;
  readonly connectMs: number;
  readonly firstByteMs: number;
  /** Null where there are none, and where none was for it. */
  readonly route: string | null;
  readonly pool: string;
  readonly attempts: readonly KeptAttempt[];
  readonly error: ErrorCode | null;
  readonly errorDetail: string;
}

/** Its path is without what the access log leaves out of it. */
export interface KeptRequest extends RequestRecord {
  readonly thread: number;
  /** When it ended, in ms since 1970. */
  readonly atMs: number;
  /** The name of the part of a route that is split; else null. */
  readonly part: string | null;
}
