import { setTimeout as sleep } from 'node:timers/promises';

/** Long enough on a machine that is busy with ten other things. Nobody waits for it but where something is broken. */
export const LONG_MS = 15_000;

/** The same of what has to end before the default timeouts (10 s) would end it. */
export const SOON_MS = 8_000;

const SHORTEST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 50;

/**
 * Polls until `probe` gives something other than false, null or undefined, and returns that. Most probes ask the admin API, which costs
 * two processes some milliseconds each time: what takes long is asked for less often.
 * Throws after `ms`, naming what was waited for, with the probe's last error if it threw.
 */
export async function waitFor<T>(
  probe: () => T | Promise<T>,
  ms = LONG_MS,
  what = probe.toString(),
): Promise<NonNullable<T>> {
  const startedAt = performance.now();
  let lastError: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== false && value !== null && value !== undefined) return value;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    const passed = performance.now() - startedAt;
    if (passed >= ms) {
      throw new Error(`Not within ${ms} ms: ${what}`, { cause: lastError });
    }
    await sleep(Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, passed / 10)));
  }
}

/** Rejects after `ms` unless `promise` settles before; the timer never keeps the process alive. */
export async function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Not within ${ms} ms: ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Measures until a figure is below `limit`, five times at most, and returns the least: on a busy machine some runs are late,
 * of a wrong program all.
 */
export async function leastOf(measure: () => Promise<number>, limit: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5 && least >= limit; round++)
    least = Math.min(least, await measure());
  return least;
}

/** What runs beside a test, which awaits it at last: should it fail before, that is told there and not as unhandled. */
export function awaitedLater<T>(running: Promise<T>): Promise<T> {
  running.catch(() => {});
  return running;
}
