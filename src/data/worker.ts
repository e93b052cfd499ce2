/**
 * The entry of a data thread: ties a data plane to the thread's message port, and stands behind the barrier (barrier.ts) for
 * what comes through all the same.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { DataThreadInit, FromDataThread, ToDataThread } from '../snapshot/messages.ts';
import { createDataPlane } from './data-plane.ts';

/** So many exceptions of unknown origin within this time, and the thread's state is not trusted any more. */
const MAX_UNCAUGHT = 3;
const UNCAUGHT_WINDOW_MS = 60_000;
/** How long a thread that is not trusted any more goes on for the requests that it has. */
const RETIREMENT_MS = 5_000;

if (parentPort === null) throw new Error('this module runs in a worker thread only');
const port = parentPort;
const plane = createDataPlane(workerData as DataThreadInit, post);
let isRetiring = false;
const uncaughtAt: number[] = [];

function post(message: FromDataThread): void {
  port.postMessage(message);
  if (isRetiring && message.kind === 'drained') setImmediate(end);
}

port.on('message', (message: ToDataThread) => {
  try {
    plane.receive(message);
  } catch (error) {
    plane.crashed(`the message ${message.kind}`, error);
    // It is out of step with the other threads, or with what an operator was told.
    retire();
  }
  // Once everything is closed and the port too, nothing keeps the thread alive.
  if (message.kind === 'stop') port.close();
});

process.on('uncaughtException', (error) => {
  plane.crashed('a callback of the event loop', error);
  const now = performance.now();
  uncaughtAt.push(now);
  if (uncaughtAt.length < MAX_UNCAUGHT) return;
  if (now - (uncaughtAt.shift() as number) < UNCAUGHT_WINDOW_MS) retire();
});

/**
 * Leaves in order: accepts nobody, finishes what it has, ends. The control plane keeps its sockets, has another thread accept
 * there meanwhile, and replaces a thread that has ended.
 */
function retire(): void {
  if (isRetiring) return;
  isRetiring = true;
  post({ kind: 'retiring' });
  try {
    plane.receive({ kind: 'drain', deadlineMs: RETIREMENT_MS, isHandedOn: true });
  } catch (error) {
    plane.crashed('the drain', error);
    end();
  }
}

function end(): void {
  process.exit(1);
}
