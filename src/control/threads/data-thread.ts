/** One data thread: a worker, or (library mode) the data plane in this very thread, behind the same messages. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Functions } from '../../data/relay/hooks.ts';
import type { DataThreadInit, FromDataThread, ToDataThread } from '../../snapshot/messages.ts';
import { WORKER_URL } from '../worker-url.ts';

export interface DataThread {
  post(message: ToDataThread): void;
  /** Asks it to end, and ends it after `graceMs`. */
  stop(graceMs: number): Promise<void>;
  /** Ends it now, whatever it is at; nothing where it is the caller's own thread. */
  terminate(reason: Error): void;
}

export interface WorkerOptions {
  readonly url?: URL;
  readonly onMessage: (message: FromDataThread) => void;
  /** Called once, however the thread ended. */
  readonly onEnd: (reason: { readonly error?: unknown; readonly exitCode: number }) => void;
}

/**
 * Nearly all that a data thread allocates is garbage by the next collection: a larger nursery buys no time, measured, and
 * costs its size in resident memory, per thread.
 */
const YOUNG_GENERATION_MIB = 16;

export function startWorker(init: DataThreadInit, options: WorkerOptions): DataThread {
  const worker = new Worker(options.url ?? WORKER_URL, {
    workerData: init,
    name: `fairlead data ${init.threadIndex}`,
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
  });
  let lastError: unknown;
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    worker.once('exit', (exitCode) => {
      hasEnded = true;
      resolve();
      options.onEnd({ error: lastError, exitCode });
    });
  });
  worker.on('message', (message: FromDataThread) => options.onMessage(message));
  worker.on('error', (error) => {
    lastError = error;
  });
  worker.on('messageerror', (error) => {
    lastError = error;
    void worker.terminate();
  });
  const post = (message: ToDataThread): void => {
    if (!hasEnded) worker.postMessage(message);
  };
  return {
    post,
    async stop(graceMs) {
      if (hasEnded) return;
      post({ kind: 'stop' });
      const timer = setTimeout(() => void worker.terminate(), graceMs);
      await ended;
      clearTimeout(timer);
    },
    terminate(reason) {
      lastError = reason;
      void worker.terminate();
    },
  };
}

/** The data plane is loaded only here, so that a control thread with workers does not carry it. */
export async function startInThisThread(
  init: DataThreadInit,
  onMessage: (message: FromDataThread) => void,
  functions: Functions | null,
): Promise<DataThread> {
  const { createDataPlane } = await import('../../data/data-plane.ts');
  // Messages arrive in a later turn, as they would from another thread: a sender is never entered again from within.
  const plane = createDataPlane(init, (message) => setImmediate(onMessage, message), functions);
  return {
    post: (message) => plane.receive(message),
    async stop() {
      plane.receive({ kind: 'stop' });
      // Its last messages, the access log's last lines among them, arrive before this ends.
      await nextTurn();
    },
    terminate() {},
  };
}
