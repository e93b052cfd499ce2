/**
 * When idle clients are sent away at the end of the process. All at once they would all come back at once, to whoever is
 * left: so they go one by one, in the first half of the time.
 */

/** An idle connection stays a moment: a request may be on its way. */
export const DRAIN_IDLE_MS = 500;
const LONGEST_SPREAD_MS = 5_000;
/** A few clients need not take the whole time. */
const LONGEST_STEP_MS = 40;

/** When the first one goes, and how much later each of the others. */
export function drainTurns(
  durationMs: number,
  count: number,
): { readonly firstMs: number; readonly stepMs: number } {
  const lastMs = Math.min(durationMs / 2, LONGEST_SPREAD_MS);
  const firstMs = Math.min(DRAIN_IDLE_MS, lastMs);
  return { firstMs, stepMs: Math.min((lastMs - firstMs) / count, LONGEST_STEP_MS) };
}
