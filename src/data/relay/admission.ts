/** Whether a request may begin at all: the checks before a backend is picked, cheapest first. */
import type { DataContext } from '../context.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { Failure } from './silence.ts';

/** @returns why it may not; null when it may. */
export function refusal(context: DataContext, { facts }: IncomingRequest): Failure | null {
  const { limits } = context.view.snapshot;
  if (limits.bodyBytes !== 0 && facts.contentLength > limits.bodyBytes) {
    return { code: 'ERR_BODY_TOO_LARGE', detail: `${facts.contentLength} bytes announced` };
  }
  if (!context.counters.passGate()) {
    return { code: 'ERR_CIRCUIT_OPEN', detail: 'the circuit breaker of the pool is open' };
  }
  return null;
}
