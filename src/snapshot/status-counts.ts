/**
 * Requests by status, in few cells: a cell for each of 500 statuses would be 4 KB for each backend and thread, and hardly one of
 * them is ever used. The statuses that exist have cells of their own; others take one of a few pairs when they first occur.
 * Should they be more than that, the rest count as those above 599 do.
 */

const FIRST_STATUS = 100;
const BEYOND = 600;

/** The IANA registry of 2025 with the gaps in its ranges, and what nginx and Cloudflare have beside it. */
const RANGES = [
  [100, 103],
  [200, 208],
  [226, 226],
  [300, 308],
  [400, 431],
  [444, 444],
  [451, 451],
  [494, 499],
  [500, 511],
  [520, 527],
  [530, 530],
  [599, 599],
  [BEYOND, BEYOND],
] as const;

const OWN: readonly number[] = RANGES.flatMap(([first, last]) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index),
);
const BEYOND_CELL = OWN.length - 1;
/** A pair is a status, 0 as long as it is free, and its count. */
const PAIRS = 16;

export const STATUS_CELLS = OWN.length + 2 * PAIRS;

const NONE = 0xff;
const CELLS = new Uint8Array(BEYOND + 1 - FIRST_STATUS).fill(NONE);
for (const [cell, status] of OWN.entries()) CELLS[status - FIRST_STATUS] = cell;

/** @param cells of which those from `offset` on are written by this thread only. */
export function countStatus(cells: Float64Array, offset: number, status: number): void {
  const cell = CELLS[Math.min(status, BEYOND) - FIRST_STATUS] as number;
  const at = cell === NONE ? pairOf(cells, offset, status) : cell;
  (cells[offset + at] as number)++;
}

/** Where a status without a cell is counted. */
function pairOf(cells: Float64Array, offset: number, status: number): number {
  for (let at = OWN.length; at < STATUS_CELLS; at += 2) {
    const known = cells[offset + at] as number;
    if (known === status) return at + 1;
    if (known === 0) {
      cells[offset + at] = status;
      return at + 1;
    }
  }
  return BEYOND_CELL;
}

/** Only statuses that occurred. 600 stands for everything above 599. */
export function addStatuses(
  statuses: Map<number, number>,
  cells: Float64Array,
  offset: number,
): void {
  const add = (status: number, count: number): void => {
    if (count > 0) statuses.set(status, (statuses.get(status) ?? 0) + count);
  };
  for (const [cell, status] of OWN.entries()) add(status, cells[offset + cell] as number);
  for (let at = OWN.length; at < STATUS_CELLS; at += 2) {
    add(cells[offset + at] as number, cells[offset + at + 1] as number);
  }
}
