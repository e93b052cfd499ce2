/**
 * SIGINT and SIGTERM, from the very start of a command to its very end: the first stops what runs, a second one cuts it
 * off. A signal that comes while the proxy still starts is not lost: it stops it as soon as it runs.
 */

/** What of `process` is used. */
export interface SignalSource {
  on(event: string, listener: (argument: unknown) => void): unknown;
  off(event: string, listener: (argument: unknown) => void): unknown;
}

export interface Stoppable {
  shutdown(reason: string): Promise<number>;
  kill(): void;
}

/** npm and npx pass a Ctrl-C on to a process that the terminal has told already: within this time two signals are one. */
const SAME_SIGNAL_MS = 300;
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

export class StopSignals {
  readonly #source: SignalSource;
  readonly #nowMs: () => number;
  #running: Stoppable | undefined;
  #firstAtMs: number | undefined;

  constructor(source: SignalSource = process, nowMs: () => number = () => performance.now()) {
    this.#source = source;
    this.#nowMs = nowMs;
    for (const signal of SIGNALS) source.on(signal, this.#onSignal);
  }

  get isRequested(): boolean {
    return this.#firstAtMs !== undefined;
  }

  /** From now on signals go to this proxy, and one that came before does at once. */
  govern(running: Stoppable): void {
    this.#running = running;
    if (this.isRequested) void running.shutdown('a signal at the start');
  }

  release(): void {
    for (const signal of SIGNALS) this.#source.off(signal, this.#onSignal);
  }

  readonly #onSignal = (signal: unknown): void => {
    if (this.#firstAtMs === undefined) {
      this.#firstAtMs = this.#nowMs();
      void this.#running?.shutdown(String(signal));
    } else if (this.#nowMs() - this.#firstAtMs > SAME_SIGNAL_MS) {
      this.#running?.kill();
    }
  };
}
