/** The whole terminal for one picture that changes. What was there before comes back at the end, however that comes. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Size } from './top-view.ts';

/** The other screen of the terminal, without a cursor; and back. */
const ENTER = '\u001B[?1049h\u001B[?25l';
const LEAVE = '\u001B[?25h\u001B[?1049l';
const HOME = '\u001B[H';
const REST_OF_LINE = '\u001B[K';
const REST_OF_SCREEN = '\u001B[J';

/** Ctrl-C and Ctrl-D among them. */
const END_KEYS = ['q', 'Q', '\u0003', '\u0004'] as const;
const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Where a terminal does not say how large it is. */
const USUAL: Size = { columns: 80, rows: 24 };

export class FullScreen {
  /** When a key or a signal has ended it. */
  readonly ended: Promise<undefined>;
  readonly #picture: (size: Size) => readonly string[];
  #end: () => void = () => {};
  #hasEnded = false;
  #isOpen = true;

  /** @param picture as many lines as there are rows at most. */
  constructor(picture: (size: Size) => readonly string[]) {
    this.#picture = picture;
    this.ended = new Promise((resolve) => {
      this.#end = () => {
        this.#hasEnded = true;
        resolve(undefined);
      };
    });
    const { stdin, stdout } = process;
    stdout.write(ENTER);
    process.once('exit', this.#leave);
    for (const signal of END_SIGNALS) process.on(signal, this.#end);
    stdout.on('resize', this.#redraw);
    if (stdin.isTTY) {
      stdin.setRawMode(true);
      stdin.on('data', this.#onKeys);
    }
    this.draw();
  }

  draw(): void {
    if (!this.#isOpen) return;
    const { columns, rows } = process.stdout;
    const size = { columns: columns || USUAL.columns, rows: rows || USUAL.rows };
    const lines = this.#picture(size).slice(0, size.rows);
    // Away first: behind a line as long as the terminal is wide, its last character would go.
    const text = lines.map((line) => REST_OF_LINE + [...line].slice(0, size.columns).join(''));
    process.stdout.write(HOME + text.join('\r\n') + REST_OF_SCREEN);
  }

  /** Whether it was ended by then. */
  async endsWithin(ms: number): Promise<boolean> {
    const timer = new AbortController();
    const late = sleep(ms, undefined, { signal: timer.signal }).catch(() => {});
    await Promise.race([late, this.ended]);
    timer.abort();
    return this.#hasEnded;
  }

  close(): void {
    this.#leave();
    process.off('exit', this.#leave);
    for (const signal of END_SIGNALS) process.off(signal, this.#end);
    process.stdout.off('resize', this.#redraw);
    if (process.stdin.isTTY) {
      process.stdin.off('data', this.#onKeys);
      process.stdin.setRawMode(false);
      process.stdin.pause();
    }
  }

  readonly #redraw = (): void => this.draw();

  readonly #leave = (): void => {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.stdout.write(LEAVE);
  };

  /** In raw mode Ctrl-C is a key like any other. */
  readonly #onKeys = (keys: Buffer): void => {
    if (END_KEYS.some((key) => keys.includes(key))) this.#end();
  };
}
