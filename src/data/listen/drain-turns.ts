/**
 * When idle clients are sent away at the end of the process. All at once they would all come back at once, to whoever is
 * left: so they go one by one, in the first half of the time.
 */
import { type MayBeIdle, NEVER } from './idle-clients.ts';

/** An idle connection stays a moment: a request may be on its way. */
export const DRAIN_IDLE_MS = 500;
/**
 * Who has just come has yet to speak. Its first bytes may be lost on the way, and lost once more: RFC 6298 §2 has them sent
 * again after 1 s, and then after 2 s.
 */
const NEWCOMER_MS = 3_000;
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

/** When an idle client leaves: at `idleUntilMs`, or later if it has only come and said nothing yet. */
export function leavesAtMs(client: MayBeIdle, idleUntilMs: number): number {
  const { hasServed, idleSinceMs } = client;
  if (hasServed || idleSinceMs === NEVER) return idleUntilMs;
  return Math.max(idleUntilMs, idleSinceMs + NEWCOMER_MS);
}
