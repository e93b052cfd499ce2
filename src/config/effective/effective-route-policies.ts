/** The policies of a route's own, in the words of a config file. */
import type { RoutePolicies } from '../../snapshot/policies.ts';
import { formatSize } from '../values/size.ts';
import { durationOf, given, rateLimitOf, retriesOf } from './effective-pool.ts';

export function routePoliciesOf({ timeouts, retries, bodyBytes, rateLimit }: RoutePolicies) {
  return given({
    timeouts: unlessEmpty(
      given({
        connect: durationOf(timeouts.connectMs),
        response: durationOf(timeouts.responseMs),
        idle: durationOf(timeouts.idleMs),
        tunnel: durationOf(timeouts.tunnelMs),
        total: durationOf(timeouts.totalMs),
      }),
    ),
    limits: bodyBytes === undefined ? undefined : { body: formatSize(bodyBytes) },
    rate_limit: rateLimit === undefined ? undefined : rateLimitOf(rateLimit),
    retries: unlessEmpty(retriesOf(retries)),
  });
}

function unlessEmpty<Value extends object | false>(value: Value): Value | undefined {
  return value !== false && Object.keys(value).length === 0 ? undefined : value;
}
