/**
 * The contract between the planes, part three, continued: what is counted of the requests of one route, in shared memory. A block
 * for each data thread, which alone writes it.
 */
import { countDuration, DURATION_CELLS, type Durations, durationsIn } from './durations.ts';
import { addStatuses, countStatus, STATUS_CELLS } from './status-counts.ts';

const R_STATUS = 0;
const R_DURATION = R_STATUS + STATUS_CELLS;
const R_COUNT = R_DURATION + DURATION_CELLS;

export function createRouteCounters(threadCount: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threadCount * R_COUNT * 8);
}

function totalsOf(buffer: SharedArrayBuffer, threadIndex: number): Float64Array {
  return new Float64Array(buffer, threadIndex * R_COUNT * 8, R_COUNT);
}

/** As a data thread writes them. */
export class RouteCounters {
  readonly #totals: Float64Array;

  constructor(buffer: SharedArrayBuffer, threadIndex: number) {
    this.#totals = totalsOf(buffer, threadIndex);
  }

  /** A request of the route was answered with `status` after `seconds`, by whomever. */
  requestCompleted(status: number, seconds: number): void {
    countStatus(this.#totals, R_STATUS, status);
    countDuration(this.#totals, R_DURATION, seconds);
  }
}

/** As the control plane reads them: the sum over all threads. */
export interface RouteTotals {
  /** Only statuses that occurred. 600 stands for everything above 599. */
  readonly statuses: ReadonlyMap<number, number>;
  readonly durations: Durations;
}

export function readRouteCounters(buffer: SharedArrayBuffer, threadCount: number): RouteTotals {
  const sums = new Float64Array(DURATION_CELLS);
  const statuses = new Map<number, number>();
  for (let thread = 0; thread < threadCount; thread++) {
    const totals = totalsOf(buffer, thread);
    addStatuses(statuses, totals, R_STATUS);
    for (let cell = 0; cell < DURATION_CELLS; cell++) {
      (sums[cell] as number) += totals[R_DURATION + cell] as number;
    }
  }
  return { statuses, durations: durationsIn(sums, 0) };
}
