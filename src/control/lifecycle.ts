/** What else ends or moves the process: reloads, log rotation, errors that nobody caught. */
import type { ControlledFairlead } from './fairlead.ts';
import type { SignalSource } from './stop-signals.ts';

const FATAL_FLUSH_MS = 500;

/** What of `process` the lifecycle uses. */
export interface ProcessLike extends SignalSource {
  exit(code: number): void;
}

const RELOAD_SIGNAL = 'SIGHUP';
const REOPEN_SIGNAL = 'SIGUSR1';
const UPGRADE_SIGNAL = 'SIGUSR2';

/**
 * SIGHUP reloads, or stops where the terminal has been closed; SIGUSR1 opens the access log anew; SIGUSR2 lets a new process take over. An error that
 * nobody caught is logged and ends the process with 1: after it, nothing is known about the state of the control plane.
 * The listeners go when the proxy ends. SIGTERM and SIGINT are StopSignals' business.
 * @param hasHungUp whether the terminal that the process was started from is gone.
 */
export function handleSignals(
  fairlead: ControlledFairlead,
  hasHungUp: () => boolean = () => false,
  target: ProcessLike = process as ProcessLike,
): void {
  const { logs } = fairlead;
  const reload = (): void => {
    if (hasHungUp()) void fairlead.shutdown('the terminal was closed');
    // A refused reload has been logged; the old config goes on.
    else fairlead.reload({ by: 'signal' }).catch(() => {});
  };
  const reopen = (): void => void logs.reopen();
  // One that failed has been logged; this process goes on.
  const upgrade = (): void => void fairlead.upgrade({ by: 'signal' }).catch(() => {});
  const exitWithLogs = async (): Promise<void> => {
    await logs.close(FATAL_FLUSH_MS);
    target.exit(1);
  };
  const fatal = (error: unknown): void => {
    logs.log.fatal('control.failed', 'an error that nobody caught ends Fairlead', { error });
    void exitWithLogs();
  };
  const listeners: readonly (readonly [string, (argument: unknown) => void])[] = [
    [RELOAD_SIGNAL, reload],
    [REOPEN_SIGNAL, reopen],
    [UPGRADE_SIGNAL, upgrade],
    ['uncaughtException', fatal],
  ];
  for (const [event, listener] of listeners) target.on(event, listener);
  const takeOff = (): void => {
    for (const [event, listener] of listeners) target.off(event, listener);
  };
  void fairlead.exited.then(takeOff);
}
