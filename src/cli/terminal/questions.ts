/** Questions to a person on a terminal, one line each. They are asked on standard error: what a command makes may go to standard output. */
import { createInterface } from 'node:readline';

/** What an answer means, or what is wrong with it. */
export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string };

/** Ctrl-C or Ctrl-D: whoever was asked wants none of it. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

export class Questions {
  readonly #lines = createInterface({ input: process.stdin, output: process.stderr });
  #isClosed = false;

  constructor() {
    this.#lines.once('close', () => (this.#isClosed = true));
  }

  /**
   * Asks until the answer is a good one.
   * @param usual what no answer means; shown in brackets.
   * @throws Interrupted
   */
  async ask<T>(question: string, usual: string, read: (text: string) => Answer<T>): Promise<T> {
    for (;;) {
      const text = await this.#line(`${question} [${usual}]: `);
      const answer = read(text.trim() === '' ? usual : text.trim());
      if (answer.ok) return answer.value;
      process.stderr.write(`  ${answer.reason}\n`);
    }
  }

  #line(prompt: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const stop = (): void => reject(new Interrupted());
      if (this.#isClosed) return stop();
      this.#lines.once('close', stop);
      this.#lines.once('SIGINT', () => this.#lines.close());
      this.#lines.question(prompt, (text) => {
        this.#lines.off('close', stop);
        resolve(text);
      });
    });
  }

  close(): void {
    this.#lines.close();
  }
}
