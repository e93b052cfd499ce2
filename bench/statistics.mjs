/** Medians, percentiles and paired ratios. */

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * The smallest value that `share` of all values do not exceed.
 * @param {readonly number[]} sorted in rising order
 * @param {number} share 0.99 for p99
 */
export function percentile(sorted, share) {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}

/**
 * Round by round, what the first cost divided by what the second cost. One machine's minutes differ more than programs
 * do: two figures of the same round have those minutes in common.
 * @param {readonly number[]} first
 * @param {readonly number[]} second of the same rounds
 */
export function pairedRatio(first, second) {
  const ratios = first
    .map((value, round) => value / second[round])
    .filter((ratio) => Number.isFinite(ratio));
  if (ratios.length === 0) return null;
  return { median: median(ratios), low: Math.min(...ratios), high: Math.max(...ratios) };
}
