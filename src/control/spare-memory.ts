/**
 * Gives back what reading a large config has taken. A text of 150 KB leaves 50 MB of garbage in the heap of the control thread, and
 * V8 keeps the room for as long as nobody else asks for it: it would be twice as much memory as all that runs.
 *
 * The collection that returns it takes a tenth of a second, in which no check and no admin call gets on; requests notice nothing.
 * So it comes once no config has been read for a while, and only where the heap is large. Where configs are read all the time it comes
 * now and then: each reading leaves a little that is young for a while, and V8 makes the room for what is young twice as large each time that
 * has added up, to a hundred megabytes in Node 24. Data threads are left alone.
 */
import v8 from 'node:v8';
import type { FairleadContext } from './context.ts';

/** After the last load. */
const QUIET_MS = 5_000;
/** After the first load since the last time. */
const LATEST_MS = 10_000;
/** Of heap, in use or not: a site with one pool has not so much. */
const LARGE_BYTES = 48 * 1024 * 1024;

export class SpareMemory {
  readonly #giveBack: () => void;
  #timer: NodeJS.Timeout | undefined;
  /** When a config was read for the first time since memory was given back. */
  #firstAtMs: number | undefined;

  constructor(giveBack: () => void = () => void collectWhereLarge()) {
    this.#giveBack = giveBack;
  }

  /** The same, and each reading of a config is noted. */
  watching(context: FairleadContext): FairleadContext {
    return {
      ...context,
      reload: (inUse) => this.#afterwards(context.reload(inUse)),
      look: (inUse) => this.#afterwards(context.look(inUse)),
      validate: (text, type, inUse) => this.#afterwards(context.validate(text, type, inUse)),
      effectiveConfig: () => this.#afterwards(context.effectiveConfig()),
    };
  }

  #afterwards<Result>(result: Result): Result {
    this.configRead();
    return result;
  }

  /** A config is being read, or has just been. */
  configRead(): void {
    const nowMs = performance.now();
    this.#firstAtMs ??= nowMs;
    clearTimeout(this.#timer);
    const waitMs = Math.max(0, Math.min(QUIET_MS, this.#firstAtMs + LATEST_MS - nowMs));
    this.#timer = setTimeout(() => {
      this.#firstAtMs = undefined;
      this.#giveBack();
    }, waitMs).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

async function collectWhereLarge(): Promise<void> {
  if (v8.getHeapStatistics().total_physical_size >= LARGE_BYTES) await collectGarbage();
}

/** Only the inspector asks V8 for a collection that returns memory to the system. A Node without one does not. */
async function collectGarbage(): Promise<void> {
  try {
    const { Session } = await import('node:inspector');
    const session = new Session();
    session.connect();
    await new Promise<void>((resolve) =>
      session.post('HeapProfiler.collectGarbage', () => resolve()),
    );
    session.disconnect();
  } catch {
    // It was a favour.
  }
}
