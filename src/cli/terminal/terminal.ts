/** The terminal that a command was started from, and whether it is still there. */
import { closeSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';

const STANDARD_STREAMS = [0, 1, 2] as const;

/**
 * A closed terminal sends SIGHUP, as somebody who wants a reload does: they differ in whether the terminal can still be
 * opened. Without one at the start every SIGHUP is a reload.
 * @returns whether the terminal of the start is gone.
 */
export function watchTerminal(): () => boolean {
  const attached = STANDARD_STREAMS.filter((descriptor) => isatty(descriptor));
  if (attached.length === 0 || !hasTerminal()) return () => false;
  const isGone = (): boolean => !hasTerminal();
  // At the end Node 20 restores the settings of every terminal that it began with, and crashes where one is gone.
  process.once('exit', () => {
    if (isGone()) for (const descriptor of attached) close(descriptor);
  });
  return isGone;
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

function close(descriptor: number): void {
  try {
    closeSync(descriptor);
  } catch {
    // Closed already.
  }
}
