/** What a failed attempt says of its backend. The reasons are in docs/decisions/0012-what-ejects.md. */
import type { ErrorCode } from '../../errors.ts';
import { grpcNumber } from '../../grpc-status.ts';

/**
 * - `broken`: no connection, or one that broke.
 * - `bad-answer`: it answered, badly.
 * - `slow`: later than `outlier_detection.slow_call`, which somebody has asked for.
 * - `silence`: a timeout of ours. The backend may rightly take its time, with a long poll: whether it counts is the control
 *   plane's to say, by what else it knows.
 */
export type Fault = 'broken' | 'bad-answer' | 'slow' | 'silence';

/** Of an error whose source is a backend. */
export function faultOf(code: ErrorCode): Fault | null {
  switch (code) {
    case 'ERR_BACKEND_BAD_RESPONSE':
    case 'ERR_BACKEND_HEAD_TOO_LARGE':
    case 'ERR_BACKEND_UPGRADE':
    case 'ERR_BACKEND_STATUS':
    case 'ERR_BACKEND_GRPC_STATUS':
    case 'ERR_BACKEND_REFUSED_STREAM':
    case 'ERR_BACKEND_RESET':
      return 'bad-answer';
    case 'ERR_BACKEND_RESPONSE_TIMEOUT':
    case 'ERR_BACKEND_TRY_TIMEOUT':
      return 'silence';
    case 'ERR_BACKEND_BODY_TIMEOUT':
      // A stream of events may be silent for as long as there are none.
      return null;
    default:
      return 'broken';
  }
}

/** A server error that is the server's fault: 501 and 505 are about the request (the rule of HAProxy's `observe layer7`). */
export function isFaultStatus(status: number): boolean {
  return status >= 500 && status !== 501 && status !== 505;
}

const FAULTS_OF_CALLS: ReadonlySet<number> = new Set(
  (['UNKNOWN', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS'] as const).map(grpcNumber),
);

/**
 * A status of gRPC that is the server's fault: what Envoy counts, but for UNIMPLEMENTED, which is about the request, and for
 * DEADLINE_EXCEEDED, which whoever asks with a short deadline could bring about.
 */
export function isFaultOfCall(grpcStatus: number): boolean {
  return FAULTS_OF_CALLS.has(grpcStatus);
}

export function afterMs(what: string, ms: number): string {
  return `${what} after ${Math.round(ms)} ms`;
}
