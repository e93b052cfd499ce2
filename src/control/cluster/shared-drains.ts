/** How backends drain, as the store has it: read from what operators want of them. */
import type { DrainTerms } from '../change-terms.ts';
import type { StoredObject } from './registry-store.ts';
import { type Understood, understand } from './shared-objects.ts';
import type { StoreKeys } from './store-keys.ts';
import type { UnderWay } from './unfinished-removals.ts';

/** @param objects those that are run on. @returns undefined: it does not drain, or is not known how, or this instance has begun it. */
export function drainBegunElsewhere(
  objects: ReadonlyMap<string, StoredObject>,
  keys: StoreKeys,
  { pool, url, self }: { readonly pool: string; readonly url: string; readonly self: string },
): DrainTerms | undefined {
  const stored = objects.get(keys.control(pool, url));
  const understood = stored && understand(stored, keys);
  const drain = understood?.kind === 'control' ? understood.object.drain : undefined;
  if (drain === undefined || drain.instance === self) return undefined;
  const { ms, sessions, cut: cutsRequests, since: begunAt } = drain;
  return { ms, sessions, cutsRequests, begunAt };
}

/** Backends that are to be removed when their drain is over. */
export function removalsIn(understood: readonly Understood[]): UnderWay[] {
  return understood.flatMap((one): UnderWay[] => {
    if (one.kind !== 'control') return [];
    const { url, leaves_at: leavesAt, drain } = one.object;
    return leavesAt === undefined ? [] : [{ pool: one.pool, url, leavesAt, drainMs: drain?.ms }];
  });
}
