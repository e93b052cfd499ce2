/** What the access log is told of an exchange. */
import type { Ending } from '../../snapshot/endings.ts';
import type { KeptAttempt, RequestRecord } from '../../snapshot/kept-request.ts';
import type { Chosen } from './chosen.ts';
import type { Trace } from './trace.ts';

export interface AttemptRecord extends KeptAttempt {
  readonly chosen: Chosen;
}

/** A field of a request's head that the log wants. */
export interface HeaderValue {
  readonly name: string;
  readonly value: string;
}

export const NO_HEADERS: readonly HeaderValue[] = [];

export interface AccessLogEntry extends RequestRecord {
  /** What a call of gRPC ended with; negative: it was none. */
  readonly grpcStatus: number;
  readonly ended: Ending | null;
  /** The name of its part, where its route is split; else null. */
  readonly split: string | null;
  /** The URL of the backend of the last attempt. */
  readonly backendUrl: string | null;
  readonly attempts: readonly AttemptRecord[];
  /** Null: it is in none. */
  readonly trace: Trace | null;
  readonly userAgent: string | null;
  readonly referer: string | null;
  /** Of the request, those that are wanted and came. */
  readonly headers: readonly HeaderValue[];
}

/** Stands for the status of an answer that never came: nginx has it so. */
export const NOTHING_SENT = 499;
