/** What the pool's policies know a request by: read from its head, while that is at hand, and only where a policy asks. */
import type { RateLimit } from '../../snapshot/policies.ts';
import type { PoolSnapshot, Sticky } from '../../snapshot/snapshot.ts';
import { clientNetwork } from '../limit/client-network.ts';
import { FIELD_FORWARDED_PROTO } from '../wire/fields.ts';
import { type ForwardContext, isSecureScheme } from '../wire/forward-request.ts';
import { findField, type Head } from '../wire/head.ts';
import { type KeyChoice, requestKey } from '../wire/request-key.ts';

export interface RequestKeys {
  /** For the strategy. */
  readonly hash: string;
  /** For the session; null where sessions go by cookie, or are learned, and the request has none. */
  readonly session: string | null;
  /** For the rate limit. */
  readonly rate: string;
  /** The client came by TLS, to us or to a trusted proxy. Read for the session cookie alone. */
  readonly isSecure: boolean;
}

/** What is asked for: of a pool's view. */
interface KeyRules {
  readonly spec: PoolSnapshot;
  readonly sessions: KeyChoice | null;
}

/** Whether anything but the client's address is asked for, which every request has. */
export function needsKeys(
  { sticky, strategy, hashKey }: PoolSnapshot,
  rateLimit: RateLimit | null,
): boolean {
  const hashesKey = strategy === 'consistent-hash' && hashKey.by !== 'ip';
  return hashesKey || sticky !== null || rateLimit !== null;
}

/** @param path as in `RequestFacts.path`. */
export function readKeys(
  { spec, sessions }: KeyRules,
  { rateLimiter }: { readonly rateLimiter: { readonly limit: RateLimit } | null },
  head: Head,
  path: string,
  clientAddress: string,
  context: ForwardContext,
): RequestKeys {
  const { sticky, strategy, hashKey } = spec;
  const hash = strategy === 'consistent-hash' ? requestKey(hashKey, head, path) : null;
  const session = sticky === null ? null : requestKey(sticky.key, head, path, sessions);
  const rate = rateLimiter === null ? null : requestKey(rateLimiter.limit.key, head, path);
  return {
    hash: hash ?? clientAddress,
    session: goesByAddress(sticky) ? (session ?? clientAddress) : session,
    // No header can be written that counts as somebody's address.
    rate: rate === null ? clientNetwork(clientAddress) : `=${rate}`,
    isSecure: sticky?.cookie?.secure === 'auto' && isSecure(head, context),
  };
}

/** A client that does not say who it is has a session all the same. */
function goesByAddress(sticky: Sticky | null): boolean {
  return sticky !== null && sticky.cookie === null && sticky.learns === null;
}

/** A trusted proxy knows better than our own connection with it. */
function isSecure(head: Head, { isTrusted, scheme }: ForwardContext): boolean {
  const said = isTrusted ? findField(head, FIELD_FORWARDED_PROTO) : null;
  return isSecureScheme(said ?? scheme);
}
