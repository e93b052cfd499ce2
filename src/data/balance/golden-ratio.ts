/**
 * Shares without a memory of who had which: a sequence that fills [0, 1) evenly, however long it is, and also where only every
 * second or third of its numbers is looked at, as when each page of a site asks for the same things. (The additive recurrence with
 * the golden ratio: L. Kuipers and H. Niederreiter, "Uniform Distribution of Sequences", 1974, §2.3.)
 */
const STEP = (Math.sqrt(5) - 1) / 2;

/** The number after `previous`, both in [0, 1). */
export function golden(previous: number): number {
  const next = previous + STEP;
  return next < 1 ? next : next - 1;
}
