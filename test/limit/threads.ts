/** Runs one task of hammer.mjs in several real threads at once, all let go at the same moment. */
import { Worker } from 'node:worker_threads';
import { within } from '../support/wait-for.ts';

/** What each thread has posted at its end. */
export async function hammer<Result>(
  threadCount: number,
  task: string,
  input: Readonly<Record<string, unknown>>,
): Promise<Result[]> {
  const start = new Int32Array(new SharedArrayBuffer(4));
  const workers = Array.from(
    { length: threadCount },
    (_, threadIndex) =>
      new Worker(new URL('hammer.mjs', import.meta.url), {
        workerData: { ...input, task, threadIndex, threadCount, start },
      }),
  );
  const results = workers.map(
    (worker) =>
      new Promise<Result>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      }),
  );
  try {
    return await within(Promise.all(results), 15_000, `${threadCount} threads: ${task}`);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
