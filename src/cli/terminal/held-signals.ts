/**
 * The signals of a process, from the first line of the program on: what comes before the command listens is kept for it.
 * By default SIGHUP, SIGUSR1 and SIGUSR2 would end the process or open a debugger that lets anyone on this machine run
 * code in it: a log rotation must not do that, whenever it comes.
 *
 * Imports nothing but Node's own: see main.ts.
 */
import inspector from 'node:inspector';

/** What of `process` is used. */
export interface HoldableSource {
  readonly pid: number;
  on(event: string, listener: (signal: unknown) => void): unknown;
  off(event: string, listener: (signal: unknown) => void): unknown;
  emit(event: string, signal: string): boolean;
  kill(pid: number, signal: string): unknown;
}

export const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;
/** A reload, and the access log opened anew. */
export const CARE_SIGNALS = ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;
type HeldSignal = (typeof STOP_SIGNALS)[number] | (typeof CARE_SIGNALS)[number];

export class HeldSignals {
  readonly #source: HoldableSource;
  /** With what came of each while it was held; null: not held any more. */
  readonly #held = new Map<unknown, boolean | null>();

  constructor(source: HoldableSource = process) {
    this.#source = source;
    for (const signal of [...STOP_SIGNALS, ...CARE_SIGNALS]) {
      this.#held.set(signal, false);
      source.on(signal, this.#note);
    }
    closeUnwantedDebugger();
  }

  /** Whoever handles them listens by now, and gets what came. They never fall back to what they do by default. */
  handOn(signals: readonly HeldSignal[]): void {
    for (const signal of signals) {
      const hasCome = this.#held.get(signal);
      this.#held.set(signal, null);
      if (hasCome === true) this.#source.emit(signal, signal);
    }
    closeUnwantedDebugger();
  }

  /** They do again what they do by default, also those that came. But for SIGUSR1, which does nothing. */
  giveBack(signals: readonly HeldSignal[]): void {
    for (const signal of signals) {
      const hasCome = this.#held.get(signal);
      this.#held.set(signal, null);
      if (signal === 'SIGUSR1') continue;
      this.#source.off(signal, this.#note);
      if (hasCome === true) this.#source.kill(this.#source.pid, signal);
    }
    closeUnwantedDebugger();
  }

  readonly #note = (signal: unknown): void => {
    if (this.#held.get(signal) === false) this.#held.set(signal, true);
  };
}

/**
 * Node listens for SIGUSR1 before its first line of JavaScript runs, and opens the debugger of whom it reaches then.
 * `--disable-sigusr1` would prevent that, and Node 20 does not know it.
 */
function closeUnwantedDebugger(): void {
  if (inspector.url() === undefined) return;
  const options = [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(/\s+/)];
  // --inspect-port says where, not whether.
  if (!options.some((option) => /^--inspect(-brk|-wait)?(=|$)/.test(option))) inspector.close();
}
