/**
 * A timeout that counts only the time in which this process ran.
 *
 * A process that was stopped, starved or moved finds all its timers due before it has read what arrived meanwhile: libuv runs
 * timers first in its round. So the wait is cut into ticks, a tick that comes much too late does not count, and the end is
 * declared after the reads of the round.
 */
export interface Patience {
  cancel(): void;
}

const TICKS = 4;
const LONGEST_TICK_MS = 250;
/** Of one wait: a machine that is always late must come to an end too. */
const MOST_FORGIVEN = 10;

export function waitPatiently(ms: number, onOver: () => void): Patience {
  const tickMs = Math.max(1, Math.min(LONGEST_TICK_MS, Math.ceil(ms / TICKS)));
  let remainingMs = ms;
  let forgiven = 0;
  let timer: NodeJS.Timeout;
  let immediate: NodeJS.Immediate | undefined;

  const wait = (): void => {
    const waitMs = Math.min(tickMs, remainingMs);
    const dueAt = performance.now() + waitMs;
    timer = setTimeout(() => {
      const isMuchTooLate = performance.now() - dueAt > tickMs;
      if (isMuchTooLate && forgiven < MOST_FORGIVEN) forgiven++;
      else remainingMs -= waitMs;
      if (remainingMs > 0) wait();
      else immediate = setImmediate(onOver);
    }, waitMs);
  };
  wait();
  return {
    cancel() {
      clearTimeout(timer);
      clearImmediate(immediate);
    },
  };
}
