/**
 * Where in shared memory the counters of the whole process lie. Made as those of a backend are: see counters.ts. Data threads write
 * them through process-counters.ts, the control plane reads them through process-totals.ts.
 */
import { ERROR_CODES } from '../errors.ts';
import { STATUSES } from './counter-cells.ts';
import { ENDINGS } from './endings.ts';
import { GRPC_CELLS } from './grpc-counts.ts';

// The buffer: shared Int32 cells, then Int32 gauges of each thread, then a float64 block of each thread.
export const P_CLIENTS = 0;
/** KiB that wait in memory. */
export const P_HELD = 1;
/** When the log was last told of each thing that it is told of now and then. */
export const P_TOLD = 2;
const TOPICS = 7;
/** Clients that threads are about to send away, because there are more than there are places. */
export const P_LEAVING = P_TOLD + TOPICS;
const P_HEADER_CELLS = P_LEAVING + 1;
export const P_HEADER_BYTES = 64;
// Int32 gauges of one thread.
export const PS_CLIENTS = 0;
/** One at the thread's birth and one for each tick; 0 before. */
export const PS_BEATS = 1;
export const PS_HELD = 2;
/** Clients that would make room for others. */
export const PS_IDLE = 3;
export const PS_LEAVING = 4;
/** An even number: what follows is aligned to 8 bytes. */
const PS_COUNT = 6;
export const PF_ACCEPTED = 0;
export const PF_LOG_LINES_DROPPED = 1;
export const PF_CONNECTIONS_CRASHED = 2;
export const PF_EXCEPTIONS = 3;
// Of the event loop, and when that was written, on the process clock: 0 before.
export const PF_DELAY_P50 = 4;
export const PF_DELAY_P99 = 5;
export const PF_DELAY_MAX = 6;
export const PF_DELAY_AT = 7;
/** Bytes of the JavaScript heap in use. */
export const PF_HEAP_USED = 8;
/** By `REFUSALS`, and by `SCARCE`. */
export const PF_REFUSED = 9;
export const PF_IDLE_CLOSED = 12;
export const PF_ACCEPTS_FAILED = 14;
export const PF_SPANS_DROPPED = 15;
export const PF_STATUS = 16;
export const PF_ERROR = PF_STATUS + STATUSES;
export const PF_CUT = PF_ERROR + ERROR_CODES.length;
export const PF_CALLS = PF_CUT + ENDINGS.length;
export const PF_COUNT = PF_CALLS + GRPC_CELLS;

/** What there is too little of where clients that are idle make room; also the label of the metric. */
export const SCARCE = ['limit', 'descriptors'] as const;
export type Scarce = (typeof SCARCE)[number];
/** Why clients are closed at once, likewise. `client`: the limit on those of one network. */
export const REFUSALS = [...SCARCE, 'client'] as const;
export type Refusal = (typeof REFUSALS)[number];

export function processShareBytes(threadCount: number): number {
  return threadCount * PS_COUNT * 4;
}

export function createProcessCounters(threadCount: number): SharedArrayBuffer {
  return new SharedArrayBuffer(
    P_HEADER_BYTES + processShareBytes(threadCount) + threadCount * PF_COUNT * 8,
  );
}

export function processHeader(buffer: SharedArrayBuffer): Int32Array {
  return new Int32Array(buffer, 0, P_HEADER_CELLS);
}

export function processShare(buffer: SharedArrayBuffer, threadIndex: number): Int32Array {
  return new Int32Array(buffer, P_HEADER_BYTES + threadIndex * PS_COUNT * 4, PS_COUNT);
}

export function totalsOf(
  buffer: SharedArrayBuffer,
  threadIndex: number,
  threadCount: number,
): Float64Array {
  const blocks = P_HEADER_BYTES + processShareBytes(threadCount);
  return new Float64Array(buffer, blocks + threadIndex * PF_COUNT * 8, PF_COUNT);
}
