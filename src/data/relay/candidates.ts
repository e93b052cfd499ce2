/** Who is left for a further attempt of an exchange, beside what its strategy says. */
import type { Backend } from '../backend/backend.ts';
import type { View } from '../view.ts';

/**
 * There is a backend that this exchange has not been to.
 * @param isTried whether it has been there
 * @param keeper one that drains, but serves this client
 * @param withRoom and that would take it
 */
export function isAnyLeft(
  { eligible, spares, snapshot }: View,
  isTried: (one: Backend) => boolean,
  keeper: Backend | null,
  withRoom: boolean,
): boolean {
  const { maxRequests, maxConnections } = snapshot.pool;
  const isLeft = (one: Backend): boolean =>
    !isTried(one) && (!withRoom || one.hasRoom(maxRequests, maxConnections));
  if (eligible.some((one) => !isTried(one))) return eligible.some(isLeft);
  // Spares are for what all of the eligible have failed.
  return spares.some(isLeft) || (keeper !== null && isLeft(keeper));
}

/** Once all of the eligible have failed the request. */
export function pickSpare(
  { eligible, spares }: View,
  tried: readonly Backend[],
  avoid: readonly Backend[],
): Backend | null {
  if (!eligible.every((backend) => tried.includes(backend))) return null;
  return spares.find((backend) => !avoid.includes(backend)) ?? null;
}

/** Those that a hedge beside an attempt at `current` must not go to. */
export function unfitForHedge({ eligible, snapshot }: View, current: Backend): Backend[] {
  const { maxRequests, maxConnections } = snapshot.pool;
  return eligible.filter(
    (one) =>
      one === current ||
      // Called off, a request that tries a backend out would never tell.
      !one.counters.isGateWideOpen ||
      !one.hasRoom(maxRequests, maxConnections),
  );
}

/** A WebSocket takes its session along: else it would come back as often as the draining backend sends it away. */
export function mustMove(
  kept: Backend,
  { draining, eligible }: View,
  avoid: readonly Backend[] | null,
): boolean {
  return draining.includes(kept) && eligible.some((one) => avoid?.includes(one) !== true);
}
