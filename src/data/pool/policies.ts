/**
 * What the exchange of a request goes by: the policies of its pool, or those of its route laid over them. Each such pair is made
 * with the view, so that an exchange reads one object and nothing is merged per request. It keeps it until it ends.
 */
import type { PoolTimeouts, RateLimit, Retries, RoutePolicies } from '../../snapshot/policies.ts';
import type { PoolSnapshot } from '../../snapshot/snapshot.ts';
import { GlobalRateLimiter } from '../limit/global-rate-limit.ts';
import type { RateAsks } from '../limit/rate-asks.ts';
import { RateLimiter } from '../limit/rate-limit.ts';
import { needsKeys } from './request-keys.ts';

export interface Policies {
  readonly timeouts: PoolTimeouts;
  readonly retries: Retries;
  /** See `Limits`. */
  readonly bodyBytes: number;
  readonly rateLimiter: RateLimiter | GlobalRateLimiter | null;
  /** What the policies go by has to be read from each request. */
  readonly needsKeys: boolean;
}

/** Where what clients have used of a rate limit is kept. */
export interface Allowances {
  /** The table that all limits share; the other one is for those that are counted by an engine. */
  readonly memory: SharedArrayBuffer;
  readonly reserves: SharedArrayBuffer;
  readonly asks: RateAsks;
  /** That share the limits whose scope says so. */
  readonly instances: number;
  /** A client was forgotten before its time, for want of room. */
  readonly onEvicted: () => void;
  /** A request was decided about without the engine that counts for all. */
  readonly onAlone: () => void;
}

/** What all allowances of a thread have in common. */
export type RateParts = Omit<Allowances, 'onEvicted' | 'onAlone' | 'instances'>;

export function poolPolicies(
  spec: PoolSnapshot,
  bodyBytes: number,
  allowances: Allowances,
): Policies {
  const { name, timeouts, retries, rateLimit } = spec;
  return {
    timeouts,
    retries,
    bodyBytes,
    rateLimiter: limiterOf(rateLimit, `pool ${name}`, allowances),
    needsKeys: needsKeys(spec, rateLimit),
  };
}

/** @param name of the route: as long as it has the same, its clients keep what they have used. */
export function routePolicies(
  own: RoutePolicies,
  name: string,
  spec: PoolSnapshot,
  ofPool: Policies,
  allowances: Allowances,
): Policies {
  const { rateLimit } = own;
  return {
    timeouts: { ...ofPool.timeouts, ...own.timeouts },
    retries: { ...ofPool.retries, ...own.retries },
    bodyBytes: own.bodyBytes ?? ofPool.bodyBytes,
    rateLimiter:
      rateLimit === undefined
        ? ofPool.rateLimiter
        : limiterOf(rateLimit, `route ${name}`, allowances),
    needsKeys: rateLimit === undefined ? ofPool.needsKeys : needsKeys(spec, rateLimit),
  };
}

function limiterOf(
  limit: RateLimit | null,
  owner: string,
  allowances: Allowances,
): RateLimiter | GlobalRateLimiter | null {
  if (limit === null) return null;
  const { memory, reserves, instances, asks, onEvicted, onAlone } = allowances;
  if (limit.scope === 'global') {
    const parts = { limit, owner, instances, memory: reserves, asks, onEvicted, onAlone };
    return new GlobalRateLimiter(parts);
  }
  const sharing = limit.scope === undefined ? 1 : instances;
  return new RateLimiter(limit, owner, memory, sharing, onEvicted);
}
