/**
 * How an exchange ended whose client did not get all of its answer, or a tunnel that its two sides did not end by themselves.
 * The status that the client got says nothing of that: it left before.
 *
 * The order is part of the contract with the shared counters, as that of the errors is: append, never reorder.
 */
import { ERROR_CODES, ERRORS, type ErrorCode } from '../errors.ts';

export const ENDINGS = [
  'client_gone',
  'client_timeout',
  /** What it sent of its request, with the answer under way, can't be gone on with. */
  'client_error',
  'backend_truncated',
  'backend_timeout',
  'backend_error',
  /** `timeouts.total`, or what a call of gRPC says itself. */
  'total_timeout',
  /** A tunnel without a byte for `timeouts.tunnel`. */
  'idle',
  /** An operator took the backend away, or the process ended a tunnel in order. */
  'drain',
  'shutdown',
  'bug',
  /** `limits.buffered`. */
  'buffered',
] as const;

export type Ending = (typeof ENDINGS)[number];

const BY_CODE: Partial<Record<ErrorCode, Ending>> = {
  ERR_CLIENT_GONE: 'client_gone',
  ERR_CLIENT_TIMEOUT: 'client_timeout',
  ERR_BODY_TIMEOUT: 'client_timeout',
  ERR_BACKEND_CLOSED: 'backend_truncated',
  ERR_BACKEND_TRUNCATED: 'backend_truncated',
  ERR_BACKEND_BODY_TIMEOUT: 'backend_timeout',
  ERR_TOTAL_TIMEOUT: 'total_timeout',
  ERR_CALL_DEADLINE: 'total_timeout',
  ERR_CUT_BY_DRAIN: 'drain',
  ERR_CUT_AT_SHUTDOWN: 'shutdown',
  ERR_BUFFERS_FULL: 'buffered',
};

const BY_SOURCE = { client: 'client_error', backend: 'backend_error', proxy: 'bug' } as const;

const ENDING_OF = new Map<ErrorCode, Ending>(
  ERROR_CODES.map((code) => [code, BY_CODE[code] ?? BY_SOURCE[ERRORS[code].source]]),
);

/** What an error is for an answer that it breaks off. */
export function endingOf(code: ErrorCode): Ending {
  return ENDING_OF.get(code) as Ending;
}
