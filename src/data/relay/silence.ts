/** How long a peer may not move, and what is said of it then: which timeout it was, in words for the log. */
import type { ErrorCode } from '../../errors.ts';
import type { Snapshot } from '../../snapshot/snapshot.ts';

export interface Failure {
  readonly code: ErrorCode;
  readonly detail: string;
  /** Whole field lines for the answer. */
  readonly fields?: string;
}

export function silentConnect({ timeouts }: Snapshot, authority: string): string {
  return `no connection to ${authority} within ${timeouts.connectMs} ms (timeouts.connect)`;
}

/**
 * How long a backend may take from the end of the request to its response head.
 * @param isKeptBack the client waits for a 100. Many backends never send one, and clients give up waiting after a while:
 * until then nobody is late.
 */
export function responseLimitMs({ timeouts, pool }: Snapshot, isKeptBack: boolean): number {
  if (isKeptBack) return Math.max(timeouts.responseMs, timeouts.idleMs);
  return pool.retries.perTryTimeoutMs || timeouts.responseMs;
}

/** No response head came. @param isUploading the backend still has to take a part of the request's body. */
export function silentBackend(
  snapshot: Snapshot,
  isUploading: boolean,
  isKeptBack: boolean,
): Failure {
  const { timeouts, pool } = snapshot;
  const { perTryTimeoutMs } = pool.retries;
  if (isUploading) {
    const detail = `the backend took no more of the body for ${timeouts.idleMs} ms (timeouts.idle)`;
    return { code: 'ERR_BACKEND_RESPONSE_TIMEOUT', detail };
  }
  if (isKeptBack) {
    const limit = `${responseLimitMs(snapshot, true)} ms (the longer of timeouts.response and timeouts.idle)`;
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

export function silentClient({ timeouts }: Snapshot): string {
  return `no byte of the body for ${timeouts.idleMs} ms (timeouts.idle)`;
}

export function unfinished({ timeouts }: Snapshot): string {
  return `not done within ${timeouts.totalMs} ms (timeouts.total)`;
}

/** For a request in the queue. */
export function noRoom({ pool }: Snapshot): string {
  return `no backend had room for ${pool.queue.timeoutMs} ms (queue.timeout)`;
}
