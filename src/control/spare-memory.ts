/**
 * Gives back what reading a large config has taken. A text of 150 KB leaves 50 MB of garbage in the heap of the control thread, and
 * V8 keeps the room for as long as nobody else asks for it: it would be twice as much memory as all that runs.
 *
 * The collection that returns it takes a tenth of a second, in which no check and no admin call gets on; requests notice nothing.
 * So it comes once no config has been read for a while, and only where the heap is large. Data threads are left alone.
 */
import v8 from 'node:v8';
import type { FairleadContext } from './context.ts';

/** After the last load. */
const QUIET_MS = 5_000;
/** Of heap, in use or not: a site with one pool has not so much. */
const LARGE_BYTES = 48 * 1024 * 1024;

export class SpareMemory {
  #timer: NodeJS.Timeout | undefined;

  /** The same, and each reading of a config is noted. */
  watching(context: FairleadContext): FairleadContext {
    return {
      ...context,
      reload: (inUse) => this.#afterwards(context.reload(inUse)),
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
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#giveBack(), QUIET_MS).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  async #giveBack(): Promise<void> {
    if (v8.getHeapStatistics().total_physical_size >= LARGE_BYTES) await collectGarbage();
  }
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
