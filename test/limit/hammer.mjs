/** The tasks of the threads that threads.ts starts: each works on a table it shares with the others, and posts what it did. */
import { parentPort, workerData } from 'node:worker_threads';
import { ClientConnections } from '../../build/data/limit/client-connections.js';
import { RateLimiter } from '../../build/data/limit/rate-limit.js';
import { ClientTable } from '../../build/snapshot/client-table.js';
import { processClockOffsetMs } from '../../build/snapshot/process-clock.js';

/** A thread that asks each millisecond, and did not for so long, stood still: what it might have asked for meanwhile is lost. */
const LONG_PAUSE_MS = 20;

const { task, threadIndex, threadCount, start, memory } = workerData;

const TASKS = {
  /** Adds 1 to the value of each of a few keys, again and again. */
  count({ rounds, keys }) {
    const table = new ClientTable(memory);
    for (let round = 0; round < rounds; round++) {
      const key = round % keys;
      // All in one bucket: the low bits of the first hash name it.
      const entry = table.acquire(key << 16, key, 0);
      table.set(entry, 0, table.get(entry, 0) + 1);
      table.keep(entry);
      table.release();
    }
  },

  /** Asks for more at every step of a clock that all threads move on together, as fast as it can. */
  rateByTicks({ limit, clock, ticks, tickMs }) {
    const limiter = new RateLimiter(limit, '0', memory, 1, () => {});
    let accepted = 0;
    for (;;) {
      const tick = Atomics.add(clock, 0, 1);
      if (tick > ticks) return accepted;
      if (limiter.take('client', tick * tickMs) === 0) accepted++;
    }
  },

  /** Asks for more each millisecond of real time, and until it is refused at the end. */
  rateByClock({ limit, forMs }) {
    const limiter = new RateLimiter(limit, '0', memory, 1, () => {});
    const offset = processClockOffsetMs();
    const sleeper = new Int32Array(new SharedArrayBuffer(4));
    const firstMs = performance.now() + offset;
    let lastMs = firstMs;
    let accepted = 0;
    let stoodMs = 0;
    for (;;) {
      const nowMs = performance.now() + offset;
      if (nowMs - lastMs > LONG_PAUSE_MS) stoodMs += nowMs - lastMs;
      lastMs = nowMs;
      if (limiter.take('client', lastMs) === 0) accepted++;
      else if (lastMs - firstMs >= forMs) return { firstMs, lastMs, accepted, stoodMs };
      else Atomics.wait(sleeper, 0, 0, 1);
    }
  },

  /** Opens and closes connections of a few clients, never holding more than it was let in with. */
  connections({ rounds, clients, limit, open }) {
    const connections = new ClientConnections(memory, threadIndex);
    const held = clients.map(() => 0);
    let most = 0;
    let refused = 0;
    for (let round = 0; round < rounds; round++) {
      const index = (round * 7 + threadIndex) % clients.length;
      if (round % 3 < 2) {
        if (connections.tryOpen(clients[index], limit)) {
          held[index]++;
          // Beside the table, counted by Atomics: what all threads have open.
          most = Math.max(most, Atomics.add(open, index, 1) + 1);
        } else refused++;
      } else if (held[index] > 0) {
        held[index]--;
        Atomics.sub(open, index, 1);
        connections.closed(clients[index]);
      }
    }
    return { most, refused, held };
  },
};

Atomics.add(start, 0, 1);
while (Atomics.load(start, 0) < threadCount) Atomics.wait(start, 0, Atomics.load(start, 0), 1);
parentPort.postMessage(TASKS[task](workerData));
