/** What is said of a request that nobody gets. */
import type { ErrorCode } from '../../errors.ts';
import type { Pool } from '../pool/pool.ts';
import { retryAfterField } from './own-answers.ts';
import type { Failure } from './silence.ts';

/**
 * @param error why there was no attempt
 * @param isAnyFull a backend without room was met, and not only circuit breakers that let nothing through
 */
export function unserved(
  error: ErrorCode,
  isAnyFull: boolean,
  { counters, view }: Pool,
  processNowMs: number,
): Failure {
  if (error === 'ERR_CIRCUIT_OPEN') {
    const seconds = counters.gateOpensInSeconds(processNowMs);
    const detail = 'the circuit breaker of the pool is open';
    return { code: error, detail, fields: retryAfterField(seconds) };
  }
  if (error === 'ERR_BACKENDS_FULL' && !isAnyFull) {
    const detail = 'the circuit breakers of all eligible backends let no more requests try them';
    return { code: 'ERR_CIRCUIT_OPEN', detail };
  }
  if (error === 'ERR_BAD_PATH') {
    return {
      code: error,
      detail: 'while it waited, a backend has come that has a path in its URL',
    };
  }
  const { backends, hint } = view;
  const count = backends.size === 1 ? '1 backend' : `${backends.size} backends`;
  return { code: error, detail: `the pool has ${count}${more(error, hint)}` };
}

function more(error: ErrorCode, hint: string): string {
  if (error === 'ERR_BACKENDS_FULL') {
    return '; none that may take it has room (max_requests, max_connections)';
  }
  if (error === 'ERR_QUEUE_FULL') {
    return '; none that may take it has room, and the queue has none either (queue.size)';
  }
  return hint === '' ? '' : `; ${hint}`;
}
