/**
 * How late the event loop of the calling thread is: whoever it serves waits as long. The worse of two half-minutes, the one
 * that runs and the one before it, so that what a scrape sees is neither long gone nor forgotten before it was seen.
 *
 * Measured by Node's own timer (`monitorEventLoopDelay`), which notes in native code how late it is: no JavaScript runs for it.
 */
export interface DelaySeconds {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** How often the event loop is asked whether it is late: what is shorter is seen in part. */
export const DELAY_RESOLUTION_MS = 50;
const WINDOW_MS = 30_000;

/** Of `node:perf_hooks`: nanoseconds between two calls of its timer. */
interface DelayHistogram {
  readonly count: number;
  readonly max: number;
  percentile(percentile: number): number;
  reset(): void;
  enable(): void;
  disable(): void;
}

export class LoopDelay {
  readonly #histogram: DelayHistogram;
  #before: DelaySeconds;
  #windowEndsMs: number;

  /**
   * @param histogram with a resolution of `DELAY_RESOLUTION_MS`.
   * @param nowMs on a monotonic clock, as for `read`.
   * @param beforeSeconds what those who are served had to wait for this thread to be there.
   */
  constructor(histogram: DelayHistogram, nowMs: number, beforeSeconds = 0) {
    this.#histogram = histogram;
    this.#before = { p50: 0, p99: 0, max: beforeSeconds };
    this.#windowEndsMs = nowMs + WINDOW_MS;
    histogram.enable();
  }

  read(nowMs: number): DelaySeconds {
    const histogram = this.#histogram;
    const isEmpty = histogram.count === 0;
    const current: DelaySeconds = {
      p50: isEmpty ? 0 : lateness(histogram.percentile(50)),
      p99: isEmpty ? 0 : lateness(histogram.percentile(99)),
      max: isEmpty ? 0 : lateness(histogram.max),
    };
    const before = this.#before;
    if (nowMs >= this.#windowEndsMs) {
      this.#windowEndsMs = nowMs + WINDOW_MS;
      this.#before = current;
      histogram.reset();
    }
    return {
      p50: Math.max(before.p50, current.p50),
      p99: Math.max(before.p99, current.p99),
      max: Math.max(before.max, current.max),
    };
  }

  stop(): void {
    this.#histogram.disable();
  }
}

/** @param ns between two calls of the timer. */
function lateness(ns: number): number {
  return Math.max(0, ns / 1e9 - DELAY_RESOLUTION_MS / 1e3);
}
