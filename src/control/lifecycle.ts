/** What else ends or moves the process: reloads, log rotation, errors that nobody caught. */
import type { ControlledFairlead } from './fairlead.ts';
import type { SignalSource } from './stop-signals.ts';

const FATAL_FLUSH_MS = 500;

/** What of `process` the lifecycle uses. */
export interface ProcessLike extends SignalSource {
  exit(code: number): void;
}

const RELOAD_SIGNAL = 'SIGHUP';
const REOPEN_SIGNAL = 'SIGUSR2';

/**
 * A reload or a log rotation asked for while the proxy still starts must not end the process, which is what both signals
 * do by default. What it gives back ends the holding and sends what came to whoever listens by then.
 */
export function holdSignals(source: SignalSource & Pick<NodeJS.EventEmitter, 'emit'>): () => void {
  const came = new Set<string>();
  const note = (signal: unknown): void => void came.add(String(signal));
  const signals = [RELOAD_SIGNAL, REOPEN_SIGNAL];
  for (const signal of signals) source.on(signal, note);
  return () => {
    for (const signal of signals) source.off(signal, note);
    for (const signal of came) source.emit(signal, signal);
    came.clear();
  };
}

/**
 * SIGHUP reloads; SIGUSR2 opens the access log anew (SIGUSR1 belongs to Node's debugger). An error that nobody caught is
 * logged and ends the process with 1: after it, nothing is known about the state of the control plane. The listeners go
 * when the proxy ends. SIGTERM and SIGINT are StopSignals' business.
 */
export function handleSignals(
  fairlead: ControlledFairlead,
  target: ProcessLike = process as ProcessLike,
): void {
  const { logs } = fairlead;
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
    [RELOAD_SIGNAL, reload],
    [REOPEN_SIGNAL, reopen],
    ['uncaughtException', fatal],
  ];
  for (const [event, listener] of listeners) target.on(event, listener);
  const takeOff = (): void => {
    for (const [event, listener] of listeners) target.off(event, listener);
  };
  void fairlead.exited.then(takeOff);
}
