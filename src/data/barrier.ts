/**
 * What an exception in the handling of one connection costs: that connection, and nothing else.
 *
 * Every callback through which the event loop enters this thread's code ends here when it throws: the stream, the timer, the
 * queue catches, and tells whoever the callback was for, its victim. The victim closes its connection and gives back what
 * it holds, by the shortest way: nothing of its state is trusted any more. See docs/decisions/0010-barrier.md.
 */
import type { LogMessage, PostToControl } from '../snapshot/messages.ts';
import type { ProcessCounters } from '../snapshot/process-counters.ts';

/** Whoever pays for an exception that came out of its handling. */
export interface Victim {
  /** Lets go of everything. Must not throw; may be called again. */
  onCrashed(error: unknown): void;
}

/** So many exceptions are logged in one go; then one more for each `REFILL_MS`. All of them are counted. */
const BURST = 20;
const REFILL_MS = 1_000;
const MAX_STACK = 4096;

export class Barrier {
  readonly #counters: ProcessCounters;
  readonly #log: BugLog;

  /** @param now milliseconds on a monotonic clock. */
  constructor(post: PostToControl, counters: ProcessCounters, now = () => performance.now()) {
    this.#counters = counters;
    this.#log = new BugLog(post, now);
  }

  /** One connection is closed for this. */
  connectionCrashed(error: unknown): void {
    this.#counters.connectionCrashed();
    this.#log.error(
      'connection.crashed',
      'a bug: an exception has cost a client its connection',
      error,
    );
  }

  /** Something that belongs to no client: the thread goes on. @param where it came from, for the log */
  crashed(where: string, error: unknown): void {
    this.#counters.exceptionCaught();
    this.#log.error(
      'data_thread.exception',
      `a bug: an exception in ${where}; the thread goes on`,
      error,
    );
  }

  /** Runs what belongs to no client. */
  run(where: string, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.crashed(where, error);
    }
  }
}

class BugLog {
  readonly #post: PostToControl;
  readonly #now: () => number;
  #tokens = BURST;
  #tokensAtMs: number;
  #unlogged = 0;

  constructor(post: PostToControl, now: () => number) {
    this.#post = post;
    this.#now = now;
    this.#tokensAtMs = now();
  }

  error(event: string, message: string, error: unknown): void {
    const now = this.#now();
    this.#tokens = Math.min(BURST, this.#tokens + (now - this.#tokensAtMs) / REFILL_MS);
    this.#tokensAtMs = now;
    if (this.#tokens < 1) {
      this.#unlogged++;
      return;
    }
    this.#tokens--;
    const fields: LogMessage['fields'] = { ...describe(error), unlogged: this.#unlogged };
    this.#unlogged = 0;
    this.#post({ kind: 'log', level: 'error', event, message, fields });
  }
}

function describe(error: unknown): { readonly detail: string; readonly stack: string } {
  try {
    if (!(error instanceof Error)) return { detail: String(error).slice(0, MAX_STACK), stack: '' };
    return {
      detail: `${error.name}: ${error.message}`.slice(0, MAX_STACK),
      stack: String(error.stack).slice(0, MAX_STACK),
    };
  } catch {
    return { detail: 'something that can not be written', stack: '' };
  }
}

/** Takes a step for which `victim` pays if it throws. */
export function guarded(victim: Victim, step: () => void): void {
  try {
    step();
  } catch (error) {
    victim.onCrashed(error);
  }
}

/** A step of letting go: those behind it are taken whether it works or not. */
export function letGo(step: () => void): void {
  try {
    step();
  } catch {
    // What has thrown once may throw again; that was logged.
  }
}
