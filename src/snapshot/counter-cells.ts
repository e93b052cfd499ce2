/** What the counters of a backend and those of the process have in common. */

const FIRST_STATUS = 100;
/** Cells for 100 … 599 and one for everything above. */
export const STATUSES = 501;

export function statusCell(status: number): number {
  return status < 600 ? status - FIRST_STATUS : STATUSES - 1;
}

/** Only statuses that occurred. 600 stands for everything above 599. */
export function readStatuses(cells: Float64Array, offset: number): Map<number, number> {
  const statuses = new Map<number, number>();
  for (let cell = 0; cell < STATUSES; cell++) {
    const count = cells[offset + cell] as number;
    if (count > 0) statuses.set(cell + FIRST_STATUS, count);
  }
  return statuses;
}

/** A gate that lets everything through; any other value is how many more it lets through. */
export const GATE_OPEN_WIDE = -1;

/** Takes one of what the gate lets through. */
export function passGate(header: Int32Array, cell: number): boolean {
  if (header[cell] === GATE_OPEN_WIDE) return true;
  for (;;) {
    const left = Atomics.load(header, cell);
    if (left <= 0) return left === GATE_OPEN_WIDE;
    if (Atomics.compareExchange(header, cell, left, left - 1) === left) return true;
  }
}

/** Gives back what `passGate` has taken; nothing where the gate has opened wide meanwhile. */
export function returnPass(header: Int32Array, cell: number): void {
  for (;;) {
    const left = Atomics.load(header, cell);
    if (left === GATE_OPEN_WIDE) return;
    if (Atomics.compareExchange(header, cell, left, left + 1) === left) return;
  }
}
