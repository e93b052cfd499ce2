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

const RESAMPLES = 2_000;
/** Of the resamples, this share lies on either side of the interval: it is one of 95 %. */
const BESIDE_INTERVAL = 0.025;

/**
 * A figure of things that were measured one after the other, and how far it would be another one with others of their kind: those
 * are drawn out of the measured ones, with repetition (Efron 1979, "the bootstrap").
 * @param {number} count of things
 * @param {(drawn: readonly number[]) => number} figure of these things, some of them several times
 * @param {() => number} random from 0 to less than 1
 * @returns {{ value: number, low: number, high: number }} 95 % of the figures lie from `low` to `high`
 */
export function withInterval(count, figure, random = seededRandom(1)) {
  const draw = () => Array.from({ length: count }, () => Math.floor(random() * count));
  const figures = Array.from({ length: RESAMPLES }, () => figure(draw())).toSorted((a, b) => a - b);
  return {
    value: figure(Array.from({ length: count }, (_, index) => index)),
    low: percentile(figures, BESIDE_INTERVAL),
    high: percentile(figures, 1 - BESIDE_INTERVAL),
  };
}

/**
 * A percentile of all values of some groups together.
 * @param {readonly (readonly number[])[]} groups
 * @param {number} share 0.99 for p99
 * @returns {(drawn: readonly number[]) => number} of these groups, some of them several times
 */
export function percentileOfGroups(groups, share) {
  // From the highest down: to a p99 it is a hundredth of the way.
  const all = groups
    .flatMap((values, group) => values.map((value) => ({ value, group })))
    .toSorted((a, b) => b.value - a.value);
  return (drawn) => {
    const times = groups.map(() => 0);
    for (const group of drawn) times[group]++;
    const count = drawn.reduce((sum, group) => sum + groups[group].length, 0);
    let above = count - Math.max(1, Math.ceil(count * share));
    for (const { value, group } of all) {
      if (times[group] > above) return value;
      above -= times[group];
    }
    return NaN;
  };
}

/** The same numbers each time, so that the same measurement has the same interval: mulberry32, of Tommy Ettinger. */
function seededRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
