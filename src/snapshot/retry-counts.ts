/** Retries by what made them necessary: a cell for each error that may be followed by another attempt. */
import { ERROR_CODES, ERRORS } from '../errors.ts';

/** `other`: there is none at present. */
export const RETRY_REASONS: readonly string[] = [
  ...ERROR_CODES.filter((code) => ERRORS[code].retry !== 'never'),
  'other',
];

export const RETRY_CELLS = RETRY_REASONS.length;

/** @param cells of which those from `offset` on are written by this thread only. */
export function countRetry(cells: Float64Array, offset: number, reason: string): void {
  const index = RETRY_REASONS.indexOf(reason);
  (cells[offset + (index === -1 ? RETRY_CELLS - 1 : index)] as number)++;
}
