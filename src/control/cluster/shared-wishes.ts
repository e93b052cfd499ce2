/**
 * What operators want of pools and their backends, as the store has it. Of a pool of which nothing is different it is the same list, and nothing
 * is derived from it again.
 */
import type { Understood } from './shared-objects.ts';

/** Backends that were added are among them; those of a file are no wish, but part of the document. */
export type Wish = Extract<Understood, { readonly kind: 'backend' | 'control' | 'pool-control' }>;
/** By pool; none of them is empty. */
export type Wishes = ReadonlyMap<string, readonly Wish[]>;

/** An object before a change and after it; undefined: there was none, there is none any more. */
export interface ObjectChange {
  readonly was: Understood | undefined;
  readonly is: Understood | undefined;
}

export function wishesIn(all: Iterable<Understood>): Wishes {
  const wishes = new Map<string, Wish[]>();
  for (const one of all) {
    if (!isWish(one)) continue;
    const ofPool = wishes.get(one.pool);
    if (ofPool === undefined) wishes.set(one.pool, [one]);
    else ofPool.push(one);
  }
  return wishes;
}

export function wishesAfter(before: Wishes, changes: readonly ObjectChange[]): Wishes {
  const wishes = new Map(before);
  for (const { was, is } of changes) {
    const one = is ?? was;
    if (one === undefined || !isWish(one)) continue;
    const ofPool = (wishes.get(one.pool) ?? []).slice();
    const place = ofPool.findIndex(({ key }) => key === one.key);
    ofPool.splice(place < 0 ? ofPool.length : place, 1, ...(is === undefined ? [] : [one]));
    if (ofPool.length > 0) wishes.set(one.pool, ofPool);
    else wishes.delete(one.pool);
  }
  return wishes;
}

/** A config file would say it. */
export function isOfDocument(one: Understood): boolean {
  if (one.kind === 'backend') return one.object.source === 'config';
  return one.kind === 'pool' || one.kind === 'route';
}

function isWish(one: Understood): one is Wish {
  if (one.kind === 'backend') return one.object.source === 'api';
  return one.kind === 'control' || one.kind === 'pool-control';
}
