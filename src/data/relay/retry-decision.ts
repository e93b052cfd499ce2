/**
 * What follows when an attempt has failed, or is late: decided here and nowhere else (RFC 9110 §9.2.2, protocol.md
 * "Retries"). Pure, and asked only when something has gone wrong.
 *
 * 1. Not one byte of the request was sent: any method may go to another backend.
 * 2. It was sent, and the connection died without a byte of an answer (the keep-alive race, a backend that was killed):
 *    an idempotent request is sent again, if its body still can be.
 * 3. Once a byte of the response has come: never. The one exception is asked for (`retries.on_status`): an answer with a
 *    listed status, of which the client has seen nothing yet; and that is a call of gRPC (`retries.on_grpc_status`), whatever its
 *    method: all of them are POST, and whoever lists a status says that they may be repeated.
 *
 *    A request that a backend has said it never saw (GOAWAY of HTTP/2) goes out again at once, whatever its method: nothing of it
 *    was sent, as in 1, and as in the race below nobody is to blame.
 *
 * 4. For want of a descriptor or a port of ours: where a connection is open and idle, for nothing but one of its attempts.
 *
 * Which of them it is stands in the error's `retry`. A backend that is merely slow is not a reason, unless
 * `retries.per_try_timeout` makes it one: the same request would make the next one slow as well.
 */
import { ERRORS, type ErrorCode } from '../../errors.ts';
import type { Retries } from '../../snapshot/policies.ts';

const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

/** Pauses grow no further than this many times `retries.backoff` (the cap of Envoy's backoff). */
const MAX_BACKOFF_FACTOR = 10;

/**
 * A backend that ends a connection after so many requests (nginx's keepalive_requests) may have more of them at once: one of
 * them then sees that several times, each time on a connection that all of them share.
 */
const MOST_GOAWAYS = 10;

/** An attempt has failed; `ERR_BACKEND_STATUS`: or would be given up for its status, before anybody has seen that. */
export interface AttemptFailed {
  readonly kind: 'failed';
  readonly code: ErrorCode;
  /** Its connection had carried a request before. */
  readonly isReused: boolean;
  /** Bytes of the response (interim ones included) have come. */
  readonly hasResponse: boolean;
}

/** An attempt waits for its answer since `retries.hedge_after`. The request may be hedged: see `isHedgeable`. */
export interface AttemptLate {
  readonly kind: 'late';
  /** The attempt tries out a backend for a half-open circuit breaker. */
  readonly isTrial: boolean;
  /** Others wait for a backend with room. */
  readonly hasLine: boolean;
}

/** How things stand at that moment. */
export interface RetryFacts {
  readonly retries: Retries;
  readonly method: string;
  /** Everything that was sent of the request is still at hand. */
  readonly isReplayable: boolean;
  /** Attempts made so far, this one included; those of a keep-alive race do not count. */
  readonly attempts: number;
  /** Keep-alive races that this request has had. */
  readonly races: number;
  /** A hedge is under way. */
  readonly hasHedge: boolean;
  /**
   * There is a backend that this request has not been to, and that would take it; for want of something on our side: one
   * with an idle connection.
   */
  readonly isAnyLeft: boolean;
  /** The retry budget has one more attempt. */
  readonly hasBudget: boolean;
  /** Before the next attempt: see `backoffMs`. */
  readonly pauseMs: number;
  /** Until the deadline of the whole exchange; Infinity where there is none. */
  readonly msLeft: number;
}

/**
 * - `retry`: another attempt, after the pause, out of the budget; the attempt counts as one. Over an idle connection it is
 *   made at once, and out of no budget.
 * - `race`: another attempt at once on a fresh connection, for nothing.
 * - `hedge`: a second attempt begins beside the first; after a failure, the one that is under way takes over.
 * - `give up`: there is no further attempt; after a late one, no second beside it.
 */
export type RetryAction = 'retry' | 'race' | 'hedge' | 'give up';

/** What each reason comes to. */
const ACTIONS = {
  'idle connection closed': 'race',
  'nothing was sent': 'retry',
  'may be repeated': 'retry',
  'a connection is idle': 'retry',
  'hedge under way': 'hedge',
  'answer is late': 'hedge',
  'final error': 'give up',
  'response has begun': 'give up',
  'not idempotent': 'give up',
  'body is gone': 'give up',
  'no attempts left': 'give up',
  'nobody is left': 'give up',
  'deadline is near': 'give up',
  'budget is spent': 'give up',
  'others wait': 'give up',
  'backend on trial': 'give up',
} as const satisfies Record<string, RetryAction>;

export type RetryReason = keyof typeof ACTIONS;

export interface RetryDecision {
  readonly action: RetryAction;
  readonly reason: RetryReason;
}

const DECISIONS = Object.fromEntries(
  Object.entries(ACTIONS).map(([reason, action]) => [reason, { action, reason }]),
) as Readonly<Record<RetryReason, RetryDecision>>;

export function decide(event: AttemptFailed | AttemptLate, facts: RetryFacts): RetryDecision {
  return DECISIONS[event.kind === 'failed' ? afterFailure(event, facts) : whenLate(event, facts)];
}

/** The first that holds. Those that never change come first, so that the budget refuses only what nothing else does. */
function afterFailure(failed: AttemptFailed, facts: RetryFacts): RetryReason {
  const { retries } = facts;
  const { retry } = ERRORS[failed.code];
  if (isKeepAliveRace(failed, facts) && facts.races < mostRaces(failed.code))
    return 'idle connection closed';
  if (facts.hasHedge) return 'hedge under way';
  if (retry === 'never') return 'final error';
  if (failed.hasResponse) return 'response has begun';
  if (retry === 'if-idempotent' && !mayRepeat(facts)) return 'not idempotent';
  if (!facts.isReplayable) return 'body is gone';
  if (facts.attempts >= retries.attempts) return 'no attempts left';
  if (!facts.isAnyLeft) return 'nobody is left';
  if (facts.pauseMs >= facts.msLeft) return 'deadline is near';
  if (retry === 'if-idle') return 'a connection is idle';
  if (!facts.hasBudget) return 'budget is spent';
  return retry === 'always' ? 'nothing was sent' : 'may be repeated';
}

function whenLate({ isTrial, hasLine }: AttemptLate, facts: RetryFacts): RetryReason {
  // Those who wait for a backend come first.
  if (hasLine) return 'others wait';
  // Called off, a request that tries a backend out would never tell.
  if (isTrial) return 'backend on trial';
  if (!facts.isAnyLeft) return 'nobody is left';
  if (!facts.hasBudget) return 'budget is spent';
  return 'answer is late';
}

/**
 * The keep-alive race: an idle connection was closed by the backend in the moment that it was used. That says nothing
 * about the backend, and happens to healthy ones, so the request gets its attempt on a fresh connection whatever
 * `retries.attempts` and the budget say (nginx does the same). Over HTTP/2 a backend that ends a connection in order says
 * which requests it has not seen (RFC 9113 §6.8): of those, any may. So may those that it wants over HTTP/1.1 (HTTP_1_1_REQUIRED).
 */
export function isKeepAliveRace(
  { code, isReused, hasResponse }: Omit<AttemptFailed, 'kind'>,
  facts: Pick<RetryFacts, 'retries' | 'method' | 'isReplayable'>,
): boolean {
  if (hasResponse || !facts.isReplayable) return false;
  if (code === 'ERR_BACKEND_GOAWAY') return true;
  return isReused && code === 'ERR_BACKEND_CLOSED' && mayRepeat(facts);
}

/** In which a request may lose for nothing. */
function mostRaces(code: ErrorCode): number {
  return code === 'ERR_BACKEND_GOAWAY' ? MOST_GOAWAYS : 1;
}

function mayRepeat({ retries, method }: Pick<RetryFacts, 'retries' | 'method'>): boolean {
  return retries.nonIdempotent || isIdempotent(method);
}

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}

/**
 * Whether a hedge may follow the first attempt of a request without a body. Asked of every one where hedges are on.
 * @param isPinned its client has a backend connection for itself: another one would not know who the client is.
 */
export function isHedgeable(
  request: {
    readonly method: string;
    readonly upgrade: string;
    readonly authenticatesConnection: boolean;
  },
  isPinned: boolean,
): boolean {
  if (request.upgrade !== '' || request.authenticatesConnection || isPinned) return false;
  return isIdempotent(request.method);
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
