/** What the access log is told of an exchange. */
import type { ErrorCode } from '../../errors.ts';
import type { Ending } from '../../snapshot/endings.ts';
import type { KeptAttempt } from '../../snapshot/kept-request.ts';
import type { Chosen } from './chosen.ts';

export interface AttemptRecord extends KeptAttempt {
  readonly backendUrl: string;
  /** What its backend was spoken to in; else HTTP/1.1. */
  readonly isHttp2: boolean;
  /** Its connection had carried a request before. */
  readonly isReused: boolean;
  readonly chosen: Chosen;
  /** Of the backend's answer; 0: none came. */
  readonly status: number;
  /** `ok`, the error code of the failure, or `called_off`: it was not waited for. */
  readonly outcome: string;
  readonly durationMs: number;
}

/** A field of a request's head that the log wants. */
export interface HeaderValue {
  readonly name: string;
  readonly value: string;
}

export const NO_HEADERS: readonly HeaderValue[] = [];

export interface AccessLogEntry {
  readonly clientAddress: string;
  /** Null where the head could not be read. */
  readonly method: string | null;
  readonly host: string | null;
  readonly path: string | null;
  readonly protocol: string | null;
  /** What the client got; `NOTHING_SENT` where that was nothing. */
  readonly status: number;
  /** What a call of gRPC ended with; negative: it was none. */
  readonly grpcStatus: number;
  /** Null: it got all of it. */
  readonly ended: Ending | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  /** Negative: the phase was not reached. */
  readonly queueMs: number;
  readonly connectMs: number;
  readonly firstByteMs: number;
  /** Null where there are none, and where none was for it. */
  readonly route: string | null;
  /** The name of its part, where its route is split; else null. */
  readonly split: string | null;
  readonly pool: string;
  /** The URL of the backend of the last attempt. */
  readonly backendUrl: string | null;
  readonly attempts: readonly AttemptRecord[];
  readonly requestId: string;
  readonly error: ErrorCode | null;
  readonly errorDetail: string;
  readonly userAgent: string | null;
  readonly referer: string | null;
  /** Of the request, those that are wanted and came. */
  readonly headers: readonly HeaderValue[];
}

/** Stands for the status of an answer that never came: nginx has it so. */
export const NOTHING_SENT = 499;
