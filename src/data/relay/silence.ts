/** How long a peer may not move, and what is said of it then: which timeout it was, in words for the log. */
import type { ErrorCode } from '../../errors.ts';
import type { PoolSnapshot } from '../../snapshot/snapshot.ts';
import type { Policies } from '../pool/policies.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { Upload } from './upload.ts';

export interface Failure {
  readonly code: ErrorCode;
  readonly detail: string;
  /** Whole field lines for the answer. */
  readonly fields?: string;
}

export function silentConnect({ timeouts }: Policies, authority: string): string {
  return `no connection to ${authority} within ${timeouts.connectMs} ms (timeouts.connect)`;
}

/**
 * How long a backend may take from the end of the request to its response head.
 * @param upload kept back while the client waits for a 100. Many backends never send one, and clients give up waiting after
 * a while: until then nobody is late.
 */
export function responseLimitMs({ timeouts, retries }: Policies, upload: Upload | null): number {
  if (upload?.isKeptBack === true) return Math.max(timeouts.responseMs, timeouts.idleMs);
  return retries.perTryTimeoutMs || timeouts.responseMs;
}

/** No response head came. */
export function silentBackend(policies: Policies, upload: Upload | null): Failure {
  const { timeouts, retries } = policies;
  const { perTryTimeoutMs } = retries;
  if (upload?.isUnderWay === true) {
    const detail = `the backend took no more of the body for ${timeouts.idleMs} ms (timeouts.idle)`;
    return { code: 'ERR_BACKEND_RESPONSE_TIMEOUT', detail };
  }
  if (upload?.isKeptBack === true) {
    const limit = `${responseLimitMs(policies, upload)} ms (the longer of timeouts.response and timeouts.idle)`;
    const detail = `neither 100 nor a response head within ${limit}`;
    return { code: 'ERR_BACKEND_RESPONSE_TIMEOUT', detail };
  }
  if (perTryTimeoutMs !== 0) {
    const detail = `no response head within ${perTryTimeoutMs} ms (retries.per_try_timeout)`;
    return { code: 'ERR_BACKEND_TRY_TIMEOUT', detail };
  }
  const detail = `no response head within ${timeouts.responseMs} ms (timeouts.response)`;
  return { code: 'ERR_BACKEND_RESPONSE_TIMEOUT', detail };
}

export function silentBody({ timeouts }: Policies): string {
  return `no byte of the body for ${timeouts.idleMs} ms (timeouts.idle)`;
}

/** By when an exchange must be over that begins at `nowMs`, on the awake clock. */
export function endsBy({ policies, call }: IncomingRequest, nowMs: number): number {
  const totalMs = policies.timeouts.totalMs || Number.POSITIVE_INFINITY;
  return call === null ? nowMs + totalMs : call.begins(nowMs, totalMs);
}

/** It is not. */
export function unfinished({ policies, call }: IncomingRequest): Failure {
  const { totalMs } = policies.timeouts;
  if (call !== null && call.timeoutMs < (totalMs || Number.POSITIVE_INFINITY)) {
    const detail = `not done within ${call.timeoutMs} ms (grpc-timeout)`;
    return { code: 'ERR_CALL_DEADLINE', detail };
  }
  return { code: 'ERR_TOTAL_TIMEOUT', detail: `not done within ${totalMs} ms (timeouts.total)` };
}

/** For a request in the queue. */
export function noRoom({ queue }: PoolSnapshot): string {
  return `no backend had room for ${queue.timeoutMs} ms (queue.timeout)`;
}
