/** How backends drain, as the store has it: read from what operators want of them. */
import type { DrainTerms } from '../change-terms.ts';
import type { StoredObject } from './registry-store.ts';
import { understand } from './shared-objects.ts';
import type { Wishes } from './shared-wishes.ts';
import type { StoreKeys } from './store-keys.ts';
import type { UnderWay } from './unfinished-removals.ts';

/** So many drains are under way at most that began at this instance: those before them are over. */
const MOST_BEGUN = 10_000;

/** Those that this process has begun: of which it knows that they are in the store. */
export class DrainsBegunHere {
  readonly #since = new Set<number>();

  note(since: number): void {
    this.#since.add(since);
    const [oldest] = this.#since;
    if (this.#since.size > MOST_BEGUN && oldest !== undefined) this.#since.delete(oldest);
  }

  has(since: number): boolean {
    return this.#since.has(since);
  }
}

/**
 * How a backend drains, unless this process has begun it. What it has asked for and got no answer to, it learns from the store like any other.
 * @param objects those that are run on. @returns undefined: it does not drain, or is not known how, or this process has begun it.
 */
export function drainBegunElsewhere(
  objects: ReadonlyMap<string, StoredObject>,
  keys: StoreKeys,
  { pool, url, self }: { readonly pool: string; readonly url: string; readonly self: string },
  begunHere: DrainsBegunHere,
): DrainTerms | undefined {
  const stored = objects.get(keys.control(pool, url));
  const understood = stored && understand(stored, keys);
  const drain = understood?.kind === 'control' ? understood.object.drain : undefined;
  if (drain === undefined) return undefined;
  if (drain.instance === self && begunHere.has(drain.since)) return undefined;
  const { ms, sessions, cut: cutsRequests, since: begunAt } = drain;
  return { ms, sessions, cutsRequests, begunAt };
}

/** Backends that are to be removed when their drain is over. */
export function removalsIn(wishes: Wishes): UnderWay[] {
  const removals: UnderWay[] = [];
  for (const ofPool of wishes.values()) {
    for (const one of ofPool) {
      if (one.kind !== 'control') continue;
      const { url, leaves_at: leavesAt, drain } = one.object;
      if (leavesAt !== undefined)
        removals.push({ pool: one.pool, url, leavesAt, drainMs: drain?.ms });
    }
  }
  return removals;
}
