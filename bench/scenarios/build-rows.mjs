/** What is made of the rounds of two builds. */
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

function rowOf(rounds, name, beside) {
  const { ratio, ratioLow, ratioHigh, ...row } = loadedRow(rounds, name, [name, beside]);
  return {
    ...row,
    beside,
    dearerPercent: percent(ratio),
    lowPercent: percent(ratioLow),
    highPercent: percent(ratioHigh),
  };
}
