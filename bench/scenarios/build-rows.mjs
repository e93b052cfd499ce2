/** What is made of the rounds of two builds. */
import { median, percentile } from '../statistics.mjs';
import { loadedRow } from './loaded.mjs';

export const NOW = 'fairlead';
export const ROUTED = 'fairlead, one route';

/**
 * @param {Awaited<ReturnType<typeof import('./loaded.mjs').loadedRounds>>} rounds
 * @param {string} before the name of the earlier build
 */
export function buildRows(rounds, before) {
  return [
    rowOf(rounds, NOW, before),
    rowOf(rounds, ROUTED, NOW),
    { ...loadedRow(rounds, before, null), beside: null },
  ];
}

const percent = (ratio) => (ratio - 1) * 100;

/** The middle half of the ratios: the ends of many short rounds are what else the machine did. */
function rowOf(rounds, name, beside) {
  const ratios = rounds
    .map((figures) => figures.get(name).cpuUs / figures.get(beside).cpuUs)
    .toSorted((a, b) => a - b);
  return {
    ...loadedRow(rounds, name, null),
    beside,
    dearerPercent: percent(median(ratios)),
    lowPercent: percent(percentile(ratios, 0.25)),
    highPercent: percent(percentile(ratios, 0.75)),
  };
}
