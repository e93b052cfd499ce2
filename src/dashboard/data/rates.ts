/** What happened between two looks at counters that only grow. */
import type { Counts, Totals } from './shapes.ts';

export interface Percentiles {
  /** In seconds; null: nothing ended. */
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

export interface Rates extends Percentiles {
  /** Per second, by the first digit of the status: `2xx`, and `none` for what had no pool is among its digit too. */
  readonly classes: readonly [number, number, number, number];
  readonly requests: number;
  readonly errors: number;
  readonly inFlight: number;
  readonly queued: number;
  readonly clients: number;
}

/** Whether counters of `now` go on from those of `before`: another process begins with zero. */
export function goesOn(before: Totals, now: Totals): boolean {
  return before.pid === now.pid && before.uptime_seconds <= now.uptime_seconds;
}

/** @param before undefined: nothing is known of the past, and all rates are zero. */
export function ratesOf(before: Totals | undefined, now: Totals): Rates {
  const seconds = before === undefined ? 0 : now.uptime_seconds - before.uptime_seconds;
  const per = (count: number): number => (seconds > 0 ? Math.max(0, count) / seconds : 0);
  const was = before === undefined ? undefined : statusesOf(before);
  const classes: [number, number, number, number] = [0, 0, 0, 0];
  for (const [status, count] of Object.entries(statusesOf(now))) {
    const digit = Math.min(5, Math.max(2, Math.floor(Number(status) / 100)));
    const grown = was === undefined ? 0 : count - (was[status] ?? 0);
    classes[digit - 2] = (classes[digit - 2] ?? 0) + per(grown);
  }
  return {
    classes,
    requests: classes.reduce((sum, rate) => sum + rate, 0),
    errors: classes[3],
    inFlight: sumOf(now, ({ backends }) => backends.reduce((sum, { conns }) => sum + conns, 0)),
    queued: sumOf(now, ({ queued }) => queued),
    clients: now.client_connections,
    ...percentiles(durationsBetween(before, now), now.duration_bounds_seconds),
  };
}

function sumOf(totals: Totals, of: (pool: Totals['pools'][number]) => number): number {
  return totals.pools.reduce((sum, pool) => sum + of(pool), 0);
}

/** Of all pools, and of what was for none. */
export function statusesOf({ statuses, pools }: Totals): Counts {
  const sums: Record<string, number> = { ...statuses };
  for (const pool of pools) {
    for (const [status, count] of Object.entries(pool.statuses)) {
      sums[status] = (sums[status] ?? 0) + count;
    }
  }
  return sums;
}

/** A pool that has left takes its counts with it: what is left of the others is not negative. */
function durationsBetween(before: Totals | undefined, now: Totals): number[] {
  const sums = now.duration_bounds_seconds.map(() => 0);
  sums.push(0);
  if (before === undefined) return sums;
  const was = new Map(before.pools.map((pool) => [pool.name, pool]));
  for (const { name, durations } of now.pools) {
    const earlier = was.get(name)?.durations;
    for (const [index, count] of durations.entries()) {
      sums[index] = (sums[index] ?? 0) + Math.max(0, count - (earlier?.[index] ?? 0));
    }
  }
  return sums;
}

export function percentiles(counts: readonly number[], bounds: readonly number[]): Percentiles {
  const at = (share: number): number | null => percentile(counts, bounds, share);
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

/**
 * By counts between bounds: as if those of one bucket lay in it evenly. What is above the last bound counts as that.
 * @param share 0 to 1. @returns in the unit of the bounds; null where nothing was counted.
 */
export function percentile(
  counts: readonly number[],
  bounds: readonly number[],
  share: number,
): number | null {
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  let left = share * all;
  for (const [index, count] of counts.entries()) {
    const upper = bounds[index];
    if (upper === undefined) break;
    if (count > 0 && left <= count) {
      const lower = bounds[index - 1] ?? 0;
      return lower + (upper - lower) * (left / count);
    }
    left -= count;
  }
  return bounds.at(-1) ?? null;
}
