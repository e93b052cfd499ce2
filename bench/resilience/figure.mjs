/**
 * What an experiment says in the end.
 *
 * @typedef {object} Figure
 * @property {string} what
 * @property {number} is
 * @property {string} must what it must be; empty: shown beside the others, to judge them by
 * @property {boolean} isReached
 *
 * @typedef {object} Experiment
 * @property {string} name for `--only`
 * @property {string} title
 * @property {Record<string, unknown>} full its size in the bench
 * @property {Record<string, unknown>} short its size in the test suite, where nothing is timed
 * @property {(place: import('./place.mjs').Place, size: any) => Promise<Figure[]>} run
 */

/** @returns {Figure} */
export function exactly(what, is, value) {
  return { what, is, must: String(value), isReached: is === value };
}

/** @returns {Figure} */
export function atMost(what, is, most) {
  return { what, is, must: `≤ ${rounded(most)}`, isReached: is <= most };
}

/** @returns {Figure} */
export function atLeast(what, is, least) {
  return { what, is, must: `≥ ${rounded(least)}`, isReached: is >= least };
}

/** @returns {Figure} */
export function shown(what, is) {
  return { what, is, must: '', isReached: true };
}

export function rounded(value) {
  return Number.isInteger(value) ? value : Number(value.toPrecision(4));
}
