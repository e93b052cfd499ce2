/**
 * One clock for all threads of the process: milliseconds, monotonic, precise.
 *
 * `performance.now()` counts from the start of its own thread, and `performance.timeOrigin` is wall-clock time, which may
 * have been set between the starts of two threads. `process.hrtime()` reads the same monotonic clock in every thread but
 * makes an array each time. So it is asked once, and the difference is added to `performance.now()`, which runs on the
 * same clock. Two threads agree to within the few microseconds between the two readings.
 */

/** Of so many, the quickest counts: a thread may have to wait for its processor between two readings. */
const READINGS = 5;

/** What this thread has to add to its `performance.now()`. */
export function processClockOffsetMs(): number {
  let offset = 0;
  let quickest = Number.POSITIVE_INFINITY;
  for (let reading = 0; reading < READINGS; reading++) {
    const before = performance.now();
    const [seconds, nanoseconds] = process.hrtime();
    const took = performance.now() - before;
    if (took >= quickest) continue;
    quickest = took;
    offset = seconds * 1_000 + nanoseconds / 1_000_000 - (before + took / 2);
  }
  return offset;
}
