/** How far long work is: one line on standard error that is written over, where that is a terminal, and nothing elsewhere. */

const FRESH_LINE = '\r\u001B[K';
const EVERY_MS = 1_000;
/** Where nobody knows how wide it is. */
const USUAL_COLUMNS = 80;

/** As much of standard error as is used here. */
export interface ProgressOutput {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

export class Progress {
  readonly #output: ProgressOutput;
  readonly #isShown: boolean;
  #timer: NodeJS.Timeout | undefined;

  constructor(output: ProgressOutput = process.stderr) {
    this.#output = output;
    this.#isShown = output.isTTY === true;
  }

  show(text: string): void {
    if (!this.#isShown) return;
    // What is wider goes on in the next line, which nothing would write over.
    const widest = (this.#output.columns ?? USUAL_COLUMNS) - 1;
    this.#output.write(FRESH_LINE + text.slice(0, widest));
  }

  /** Shows what it is now, and again and again. */
  follow(textAfter: (seconds: number) => string, everyMs = EVERY_MS): void {
    if (!this.#isShown) return;
    const startedAt = performance.now();
    const tick = (): void =>
      this.show(textAfter(Math.floor((performance.now() - startedAt) / 1000)));
    tick();
    this.#timer = setInterval(tick, everyMs);
  }

  /** The line is free again, for the result. */
  end(): void {
    clearInterval(this.#timer);
    if (this.#isShown) this.#output.write(FRESH_LINE);
  }
}
