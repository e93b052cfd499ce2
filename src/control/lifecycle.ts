/** Signals, and the end of the process. */
import type { ControlledFairlead } from './fairlead.ts';

const FATAL_FLUSH_MS = 500;

/** What of `process` the lifecycle uses. */
export interface ProcessLike {
  on(event: string, listener: (argument: unknown) => void): unknown;
  off(event: string, listener: (argument: unknown) => void): unknown;
  exit(code: number): void;
}

/**
 * SIGTERM and SIGINT shut down, a second one ends at once; SIGHUP reloads; SIGUSR2 opens the access log anew (SIGUSR1
 * belongs to Node's debugger). An error that nobody caught is logged and ends the process with 1: after it, nothing is
 * known about the state of the control plane. Returns what takes the listeners off again.
 */
export function handleSignals(
  fairlead: ControlledFairlead,
  target: ProcessLike = process as ProcessLike,
): () => void {
  const { logs } = fairlead;
  let isShuttingDown = false;
  const end = (signal: unknown): void => {
    if (isShuttingDown) {
      fairlead.kill();
      return;
    }
    isShuttingDown = true;
    void fairlead.shutdown(String(signal));
  };
  // A refused reload has been logged; the old config goes on.
  const reload = (): void => void fairlead.reload().catch(() => {});
  const reopen = (): void => {
    logs.reopen();
    logs.log.info('access_log.reopened', 'the access log is opened anew');
  };
  const exitWithLogs = async (): Promise<void> => {
    await logs.close(FATAL_FLUSH_MS);
    target.exit(1);
  };
  const fatal = (error: unknown): void => {
    logs.log.fatal('control.failed', 'an error that nobody caught ends Fairlead', { error });
    void exitWithLogs();
  };
  const listeners: readonly (readonly [string, (argument: unknown) => void])[] = [
    ['SIGTERM', end],
    ['SIGINT', end],
    ['SIGHUP', reload],
    ['SIGUSR2', reopen],
    ['uncaughtException', fatal],
  ];
  for (const [event, listener] of listeners) target.on(event, listener);
  const takeOff = (): void => {
    for (const [event, listener] of listeners) target.off(event, listener);
  };
  void fairlead.exited.then(takeOff);
  return takeOff;
}
