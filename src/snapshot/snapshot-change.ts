/**
 * The contract between the planes: what is different in a snapshot than in the one before. It is all that a data thread is sent of it,
 * so that a change of one backend costs what one backend costs, however many there are.
 *
 * What has not changed is told by identity: whoever builds a snapshot leaves it the same object (see docs/decisions/0055). What is
 * another object and says the same is sent, and nothing else comes of it.
 */
import type { RouteSnapshot } from './route.ts';
import type { BackendSnapshot, Eligibility, PoolSnapshot, Snapshot } from './snapshot.ts';

/** A list by the one before: a number is the place in that of what has not changed. */
export type ListChange<T> = readonly (number | T)[];

/** A pool that was there before, and is another one now. */
export interface PoolChange {
  readonly kind: 'changed';
  /** Its place in the list before. */
  readonly was: number;
  readonly fields: Partial<Omit<PoolSnapshot, 'backends'>>;
  /** Null: they are the same. */
  readonly backends: ListChange<BackendSnapshot> | null;
}

export interface NewPool {
  readonly kind: 'new';
  readonly pool: PoolSnapshot;
}

export interface SnapshotChange {
  readonly fields: Partial<Omit<Snapshot, 'pools' | 'routes'>>;
  /** Null: they are the same. */
  readonly pools: ListChange<PoolChange | NewPool> | null;
  readonly routes: ListChange<RouteSnapshot> | null;
}

export function changeBetween(before: Snapshot, after: Snapshot): SnapshotChange {
  const { pools: poolsBefore, routes: routesBefore, ...fieldsBefore } = before;
  const { pools, routes, ...fields } = after;
  return {
    fields: changedFields(fieldsBefore, fields),
    pools: poolsBetween(poolsBefore, pools),
    routes: listBetween(routesBefore, routes),
  };
}

/** @throws where the change is not one of this snapshot. */
export function applyChange(before: Snapshot, { fields, pools, routes }: SnapshotChange): Snapshot {
  return {
    ...before,
    ...fields,
    pools: pools === null ? before.pools : pools.map((one) => poolOf(before.pools, one)),
    routes: appliedList(before.routes, routes),
  };
}

/** The same snapshot, with what a message of its own has said of a pool. */
export function withEligibility(
  snapshot: Snapshot,
  poolId: number,
  eligibility: Eligibility,
): Snapshot {
  const place = snapshot.pools.findIndex(({ id }) => id === poolId);
  const pool = snapshot.pools[place];
  if (pool === undefined) return snapshot;
  const pools = snapshot.pools.slice();
  pools[place] = { ...pool, eligibility };
  return { ...snapshot, pools };
}

function poolsBetween(
  before: readonly PoolSnapshot[],
  after: readonly PoolSnapshot[],
): SnapshotChange['pools'] {
  if (before === after) return null;
  const places = new Map(before.map(({ id }, place) => [id, place]));
  const change = after.map((pool) => {
    const was = places.get(pool.id);
    return was === undefined
      ? ({ kind: 'new', pool } as const)
      : poolBetween(was, before[was] as PoolSnapshot, pool);
  });
  return isNone(change, before) ? null : change;
}

function poolBetween(was: number, before: PoolSnapshot, after: PoolSnapshot): number | PoolChange {
  if (before === after) return was;
  const { backends: backendsBefore, ...fieldsBefore } = before;
  const { backends: backendsAfter, ...fieldsAfter } = after;
  const fields = changedFields(fieldsBefore, fieldsAfter);
  const backends = listBetween(backendsBefore, backendsAfter);
  const isSame = backends === null && Object.keys(fields).length === 0;
  return isSame ? was : { kind: 'changed', was, fields, backends };
}

function poolOf(before: readonly PoolSnapshot[], one: number | PoolChange | NewPool): PoolSnapshot {
  if (typeof one === 'number') return at(before, one);
  if (one.kind === 'new') return one.pool;
  const was = at(before, one.was);
  return { ...was, ...one.fields, backends: appliedList(was.backends, one.backends) };
}

function listBetween<T extends object>(
  before: readonly T[],
  after: readonly T[],
): ListChange<T> | null {
  if (before === after) return null;
  const places = new Map(before.map((one, place) => [one, place]));
  const change = after.map((one) => places.get(one) ?? one);
  return isNone(change, before) ? null : change;
}

function appliedList<T>(before: readonly T[], change: ListChange<T> | null): readonly T[] {
  if (change === null) return before;
  return change.map((one) => (typeof one === 'number' ? at(before, one) : one));
}

/** All are where they were. */
function isNone(change: ListChange<unknown>, before: readonly unknown[]): boolean {
  return change.length === before.length && change.every((one, place) => one === place);
}

function at<T>(before: readonly T[], place: number): T {
  const one = before[place];
  if (one === undefined) throw new Error('a change of another snapshot than the one in force');
  return one;
}

function changedFields<T extends object>(before: T, after: T): Partial<T> {
  const changed: Partial<T> = {};
  for (const key of Object.keys(after) as (keyof T)[]) {
    if (!Object.is(before[key], after[key])) changed[key] = after[key];
  }
  return changed;
}
