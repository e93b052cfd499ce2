/**
 * Runs a config that is written as code, in a thread of its own: nothing of what it imports stays, so that the next reading sees
 * all of it anew, and what it never comes back from can be ended.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { CodeRequest, CodeResult } from './code-file.ts';
import { documentOfData } from './read/data-document.ts';

if (parentPort === null) throw new Error('this module runs in a worker thread only');
const { url, shown, port, signal } = workerData as CodeRequest;
const cells = new Int32Array(signal);

// Whatever it does: whoever waits is told. What comes after an answer is not read.
process.on('exit', wake);
process.on('uncaughtException', (error) => post(failure(error)));
post(await evaluate());

async function evaluate(): Promise<CodeResult> {
  try {
    const { default: made } = (await import(url)) as { readonly default?: unknown };
    if (made === undefined) return { ok: false, code: '', message: 'it has no default export' };
    const result = documentOfData(await made, shown);
    return result.ok ? { ok: true, data: result.document.value } : result;
  } catch (error) {
    return failure(error);
  }
}

/** Whatever was thrown: there are things that have no text. */
function failure(error: unknown): CodeResult {
  if (error instanceof Error) {
    const { code = '', message, stack = '' } = error as NodeJS.ErrnoException;
    return { ok: false, code, message, stack };
  }
  const message =
    typeof error === 'object' ? 'it has thrown something that is no Error' : String(error);
  return { ok: false, code: '', message };
}

function post(result: CodeResult): void {
  port.postMessage(result);
  wake();
}

function wake(): void {
  Atomics.store(cells, 0, 1);
  Atomics.notify(cells, 0);
}
