/**
 * All rules about a second attempt (RFC 9110 §9.2.2, protocol.md "Retries"):
 *
 * 1. not one byte of the request was sent: any method may go to another backend;
 * 2. it was sent, and the connection died without a byte of an answer (the keep-alive race, a backend that was killed):
 *    an idempotent request is sent again, if its body still can be;
 * 3. once a byte of the response has come: never.
 *
 * A backend that is merely slow is not a reason: the same request would make the next one slow as well.
 */
import { ERRORS, type ErrorCode } from '../../errors.ts';

/** First attempt included. Failing over must not multiply the load on what is left of a pool. */
const MAX_ATTEMPTS = 3;

const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

export interface FailedAttempt {
  readonly code: ErrorCode;
  readonly method: string;
  /** Attempts made so far, this one included. */
  readonly attempts: number;
  /** Bytes of the response (interim ones included) have come. */
  readonly hasResponse: boolean;
  /** Everything that was sent of the request is still at hand. */
  readonly isReplayable: boolean;
}

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}

export function mayRetry(failed: FailedAttempt): boolean {
  if (failed.attempts >= MAX_ATTEMPTS || failed.hasResponse || !failed.isReplayable) return false;
  switch (ERRORS[failed.code].retry) {
    case 'always':
      return true;
    case 'if-idempotent':
      return isIdempotent(failed.method);
    case 'never':
      return false;
  }
}
