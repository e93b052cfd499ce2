/** A clock that goes on when it is told to. */
import type { Timing } from '../../../src/control/cluster/timing.ts';

export function madeTiming() {
  let nowMs = 0;
  const timers = new Set<{ readonly at: number; readonly run: () => void }>();
  const timing: Timing = {
    now: () => nowMs,
    random: () => 0.5,
    after(ms, run) {
      const timer = { at: nowMs + ms, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  };
  const goTo = async (ms: number): Promise<void> => {
    nowMs = ms;
    for (const timer of timers) {
      if (timer.at <= nowMs && timers.delete(timer)) timer.run();
    }
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { timing, goTo, timers };
}
