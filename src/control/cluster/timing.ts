/** The clock, the timers and the chance that the files of this folder live by: tests give their own. */
export interface Timing {
  /** Milliseconds on a clock that never jumps. */
  now(): number;
  /** @returns what calls it off. */
  after(ms: number, run: () => void): () => void;
  /** From 0 up to but not including 1. */
  random(): number;
}

export const SYSTEM_TIMING: Timing = {
  now: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
  random: Math.random,
};
