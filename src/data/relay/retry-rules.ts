/**
 * All rules about a second attempt (RFC 9110 §9.2.2, protocol.md "Retries"):
 *
 * 1. not one byte of the request was sent: any method may go to another backend;
 * 2. it was sent, and the connection died without a byte of an answer (the keep-alive race, a backend that was killed):
 *    an idempotent request is sent again, if its body still can be;
 * 3. once a byte of the response has come: never. The one exception is asked for (`retries.on_status`): an answer with a
 *    listed status, of which the client has seen nothing yet.
 *
 * A backend that is merely slow is not a reason, unless `retries.per_try_timeout` makes it one: the same request would
 * make the next one slow as well.
 */
import { ERRORS, type ErrorCode } from '../../errors.ts';
import type { Retries } from '../../snapshot/snapshot.ts';

const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

/** Pauses grow no further than this many times `retries.backoff` (the cap of Envoy's backoff). */
const MAX_BACKOFF_FACTOR = 10;

export interface FailedAttempt {
  readonly code: ErrorCode;
  readonly method: string;
  /** Attempts made so far, this one included; those of a keep-alive race do not count. */
  readonly attempts: number;
  /** Bytes of the response (interim ones included) have come. */
  readonly hasResponse: boolean;
  /** Everything that was sent of the request is still at hand. */
  readonly isReplayable: boolean;
}

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}

export function mayRetry(failed: FailedAttempt, retries: Retries): boolean {
  return failed.attempts < retries.attempts && !failed.hasResponse && mayRepeat(failed, retries);
}

/**
 * The keep-alive race: an idle connection was closed by the backend in the moment that it was used. That says nothing
 * about the backend, and happens to healthy ones, so the request gets its attempt on a fresh connection whatever
 * `retries.attempts` and the budget say (nginx does the same).
 */
export function isKeepAliveRace(
  failed: FailedAttempt,
  isReused: boolean,
  retries: Retries,
): boolean {
  return (
    isReused &&
    failed.code === 'ERR_BACKEND_CLOSED' &&
    !failed.hasResponse &&
    mayRepeat(failed, retries)
  );
}

function mayRepeat({ code, method, isReplayable }: FailedAttempt, retries: Retries): boolean {
  switch (ERRORS[code].retry) {
    case 'always':
      return isReplayable;
    case 'if-idempotent':
      return isReplayable && (retries.nonIdempotent || isIdempotent(method));
    case 'never':
      return false;
  }
}

/**
 * How long to wait before the next attempt, in ms. The first retry goes to another backend at once, as HAProxy's
 * redispatch does; further ones wait a random time below a bound that doubles ("full jitter", M. Brooker, AWS
 * Architecture Blog, 2015).
 * @param retry 1 for the first retry.
 * @param random in [0, 1).
 */
export function backoffMs(retry: number, retries: Retries, random: number): number {
  if (retry <= 1) return 0;
  return random * retries.backoffMs * Math.min(2 ** (retry - 2), MAX_BACKOFF_FACTOR);
}
