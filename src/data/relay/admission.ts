/** Whether a request may begin at all: the checks before a backend is picked, cheapest first. */
import type { RateLimit } from '../../snapshot/snapshot.ts';
import { rateLimitFields } from '../limit/rate-limit.ts';
import type { DataContext } from './context.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { Failure } from './silence.ts';

/** @returns why it may not; null when it may. */
export function refusal(
  context: DataContext,
  { facts, keys, pool, refused }: IncomingRequest,
): Failure | null {
  if (refused !== null) return { code: refused, detail: '' };
  const { snapshot, spec, rateLimiter } = pool.view;
  const { limits } = snapshot;
  if (limits.bodyBytes !== 0 && facts.contentLength > limits.bodyBytes) {
    const detail = `${facts.contentLength} bytes announced, of ${limits.bodyBytes} (limits.body)`;
    return { code: 'ERR_BODY_TOO_LARGE', detail };
  }
  if (rateLimiter !== null && keys !== null) {
    const waitMs = rateLimiter.take(keys.rate, context.processNowMs());
    if (waitMs > 0) {
      const limit = spec.rateLimit as RateLimit;
      return {
        code: 'ERR_RATE_LIMITED',
        detail: `over ${limit.rate} requests in ${limit.perMs} ms`,
        fields: rateLimitFields(limit, waitMs),
      };
    }
  }
  return null;
}
