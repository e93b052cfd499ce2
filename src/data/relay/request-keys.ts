/** What the pool's policies know a request by: read from its head, while that is at hand, and only where a policy asks. */
import type { PoolSnapshot, RequestKey } from '../../snapshot/snapshot.ts';
import { clientNetwork } from '../limit/client-network.ts';
import type { Head } from '../wire/head.ts';
import { requestKey } from '../wire/request-key.ts';

export interface RequestKeys {
  /** For the strategy. */
  readonly hash: string;
  /** For the session; null where sessions go by cookie and the request has none. */
  readonly session: string | null;
  /** For the rate limit. */
  readonly rate: string;
}

/** Whether anything but the client's address is asked for, which every request has. */
export function needsKeys({ sticky, rateLimit, strategy, hashKey }: PoolSnapshot): boolean {
  const hashesKey = strategy === 'consistent-hash' && hashKey.by !== 'ip';
  return hashesKey || sticky !== null || rateLimit !== null;
}

/** @param path as in `RequestFacts.path`. */
export function readKeys(
  { sticky, rateLimit, strategy, hashKey }: PoolSnapshot,
  head: Head,
  path: string,
  clientAddress: string,
): RequestKeys {
  const read = (key: RequestKey): string | null => requestKey(key, head, path);
  const hash = strategy === 'consistent-hash' ? read(hashKey) : null;
  const session = sticky === null ? null : read(sticky.key);
  const rate = rateLimit === null ? null : read(rateLimit.key);
  return {
    hash: hash ?? clientAddress,
    session: sticky === null || sticky.key.by === 'cookie' ? session : (session ?? clientAddress),
    // No header can be written that counts as somebody's address.
    rate: rate === null ? clientNetwork(clientAddress) : `=${rate}`,
  };
}
