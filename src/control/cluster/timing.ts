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

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/** How long to wait after so many failures in a row: 100 ms, twice as long each time, 2 s at most; half of it by chance. */
export function backOffMs(failures: number, random: number): number {
  const doublings = Math.min(Math.max(failures, 1) - 1, 10);
  const ms = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** doublings);
  return ms * (0.5 + 0.5 * random);
}
