/** The clock of a process that can be stopped: while it is frozen no timer fires, and those that are due then fire at the end. */
import { SYSTEM_TIMING, type Timing } from '../../src/control/cluster/timing.ts';

export interface FreezableTiming extends Timing {
  freeze(): void;
  thaw(): void;
}

export function freezableTiming(): FreezableTiming {
  let isFrozen = false;
  const due = new Set<() => void>();
  return {
    now: SYSTEM_TIMING.now,
    random: SYSTEM_TIMING.random,
    after(ms, run) {
      const callOff = SYSTEM_TIMING.after(ms, () => {
        if (isFrozen) due.add(run);
        else run();
      });
      return () => {
        callOff();
        due.delete(run);
      };
    },
    freeze() {
      isFrozen = true;
    },
    thaw() {
      isFrozen = false;
      for (const run of due) {
        if (due.delete(run)) run();
      }
    },
  };
}
