/**
 * Preloaded into Fairlead and its data threads: signals harm one data thread after the other. Before it can't accept, it says
 * `fragile: thread N is busy` on standard error: whoever connects from then on waits in the queue of its socket.
 *
 * SIGWINCH: it ends after a moment. SIGURG: it hangs, until somebody ends it. SIGIO: three exceptions of unknown origin.
 */
import { writeSync } from 'node:fs';
import { BroadcastChannel, isMainThread, workerData } from 'node:worker_threads';

const BUSY_MS = 300;
const STANDARD_ERROR = 2;

const channel = new BroadcastChannel('fragile-threads');

function stayBusy(ms) {
  writeSync(STANDARD_ERROR, `fragile: thread ${workerData.threadIndex} is busy\n`);
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

const HARM = {
  SIGWINCH() {
    stayBusy(BUSY_MS);
    process.exit(9);
  },
  SIGURG() {
    stayBusy(Number.POSITIVE_INFINITY);
  },
  SIGIO() {
    stayBusy(BUSY_MS);
    for (let count = 0; count < 3; count++) {
      setImmediate(() => {
        throw new Error('an exception of unknown origin');
      });
    }
  },
};

if (isMainThread) {
  let turn = 0;
  for (const signal of Object.keys(HARM)) {
    process.on(signal, () => channel.postMessage({ signal, turn: turn++ }));
  }
} else if (workerData?.threadIndex !== undefined) {
  channel.addEventListener('message', ({ data: { signal, turn } }) => {
    if (turn % workerData.threadCount === workerData.threadIndex) HARM[signal]();
  });
}
// It keeps no thread alive that was asked to end.
channel.unref();
