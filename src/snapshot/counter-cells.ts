/** What counters have in common. */

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

/**
 * A gate is a cell that says how many more requests it lets through, and how often the control plane has set it: what was
 * let through before that can't be given back after it. Else a gate that was shut in between would open again.
 */
const PASS_BITS = 12;
const PASSES = (1 << PASS_BITS) - 1;

/** Instead of a number of passes: the gate lets everything through. */
export const GATE_OPEN_WIDE = -1;
const OPEN_WIDE = GATE_OPEN_WIDE & PASSES;

/** What a gate that is shut, or has let through all that it may, gives. */
export const NO_PASS = -1;

export function isGateOpenWide(header: Int32Array, cell: number): boolean {
  return (Atomics.load(header, cell) & PASSES) === OPEN_WIDE;
}

export function isGateShut(header: Int32Array, cell: number): boolean {
  return (Atomics.load(header, cell) & PASSES) === 0;
}

/** Takes one of what the gate lets through. @returns the pass, for `returnPass`, or `NO_PASS`. */
export function takePass(header: Int32Array, cell: number): number {
  const seen = header[cell] as number;
  if ((seen & PASSES) === OPEN_WIDE) return seen >>> PASS_BITS;
  for (;;) {
    const gate = Atomics.load(header, cell);
    const left = gate & PASSES;
    if (left === 0) return NO_PASS;
    if (left === OPEN_WIDE || Atomics.compareExchange(header, cell, gate, gate - 1) === gate)
      return gate >>> PASS_BITS;
  }
}

/** Gives back what `takePass` has taken; nothing where the gate has been set meanwhile, or is open wide. */
export function returnPass(header: Int32Array, cell: number, pass: number): void {
  for (;;) {
    const gate = Atomics.load(header, cell);
    if (gate >>> PASS_BITS !== pass || (gate & PASSES) === OPEN_WIDE) return;
    if (Atomics.compareExchange(header, cell, gate, gate + 1) === gate) return;
  }
}

/** Control plane, the only one that sets it. @param passes how many, or `GATE_OPEN_WIDE`. */
export function setGate(header: Int32Array, cell: number, passes: number): void {
  for (;;) {
    const gate = Atomics.load(header, cell);
    const next = (((gate >>> PASS_BITS) + 1) << PASS_BITS) | (passes & PASSES);
    if (Atomics.compareExchange(header, cell, gate, next) === gate) return;
  }
}
