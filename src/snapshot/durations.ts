/** How long requests took, as a histogram in shared memory. */

/**
 * Upper bounds in seconds; one more bucket counts what is above the last. Those that the semantic conventions of OpenTelemetry
 * advise for `http.server.request.duration`, and 0.3 and 1.2, by which an Apdex for a target of 0.3 s is counted exactly.
 */
export const DURATION_BUCKETS_SECONDS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.3, 0.5, 0.75, 1, 1.2, 2.5, 5, 7.5, 10,
];

const BUCKETS = DURATION_BUCKETS_SECONDS.length + 1;
const SUM = BUCKETS;
export const DURATION_CELLS = BUCKETS + 1;

export interface Durations {
  /** Not cumulative; one more than `DURATION_BUCKETS_SECONDS`. */
  readonly buckets: readonly number[];
  readonly sumSeconds: number;
}

/** @param cells of which those from `offset` on are written by this thread only. */
export function countDuration(cells: Float64Array, offset: number, seconds: number): void {
  let bucket = 0;
  while (bucket < BUCKETS - 1 && seconds > (DURATION_BUCKETS_SECONDS[bucket] as number)) bucket++;
  (cells[offset + bucket] as number)++;
  (cells[offset + SUM] as number) += seconds;
}

/** @param cells the sum of those of all threads. */
export function durationsIn(cells: Float64Array, offset: number): Durations {
  return {
    buckets: Array.from(cells.subarray(offset, offset + BUCKETS)),
    sumSeconds: cells[offset + SUM] as number,
  };
}
