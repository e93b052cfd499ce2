/**
 * Listens to the pulse of the data threads: each beats once a tick, in shared memory, so that a thread that hangs in a loop
 * needs no turn of its own to be found out.
 *
 * The time in which this thread did not run counts for nobody (awake-clock.ts): a process that was stopped and goes on finds
 * no thread stuck.
 */
import type { Logger } from '../../observe/logger.ts';
import { AwakeClock } from '../../snapshot/awake-clock.ts';
import { readBeats } from '../../snapshot/process-totals.ts';

const LOOK_MS = 250;
const STUCK_MS = 1_500;
/** What it holds is lost with it; but so it is to clients who wait for it, and those who still come wait with them. */
const LOST_MS = 3_500;

export interface PulseOptions {
  readonly counters: SharedArrayBuffer;
  readonly threadCount: number;
  readonly log: Logger;
  /** The thread is given up. */
  readonly onLost: (threadIndex: number, reason: Error) => void;
  /** Milliseconds on a monotonic clock. */
  readonly now?: () => number;
}

interface Heard {
  beats: number;
  /** On the awake clock. */
  atMs: number;
  isReported: boolean;
  isLost: boolean;
}

export class Pulse {
  readonly #options: PulseOptions;
  readonly #now: () => number;
  readonly #clock = new AwakeClock();
  readonly #heard: readonly Heard[];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PulseOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#heard = Array.from({ length: options.threadCount }, () => ({
      beats: 0,
      atMs: 0,
      isReported: false,
      isLost: false,
    }));
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** None of them is silent for so long that it would be said. */
  get areAllAlive(): boolean {
    return this.#heard.every(({ isReported }) => !isReported);
  }

  look(): void {
    const nowMs = this.#clock.awake(this.#now(), LOOK_MS);
    for (const [index, heard] of this.#heard.entries()) {
      const beats = readBeats(this.#options.counters, index);
      if (beats !== heard.beats) {
        heard.beats = beats;
        heard.atMs = nowMs;
        heard.isReported = false;
        heard.isLost = false;
      } else if (beats !== 0) {
        // 0: it is starting, and has not begun to beat.
        this.#silent(index, heard, Math.round(nowMs - heard.atMs));
      }
    }
  }

  #silent(index: number, heard: Heard, silentMs: number): void {
    if (silentMs >= STUCK_MS && !heard.isReported) {
      heard.isReported = true;
      this.#options.log.warn(
        'data_thread.stuck',
        `data thread ${index} has not reacted for ${silentMs} ms; it is replaced after ${LOST_MS} ms`,
        { thread: index, silent_ms: silentMs },
      );
    }
    if (silentMs >= LOST_MS && !heard.isLost) {
      heard.isLost = true;
      this.#options.onLost(index, new Error(`it did not react for ${silentMs} ms`));
    }
  }
}
