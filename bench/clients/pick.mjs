/**
 * `pick.mjs [picks]`: by each strategy of the built Fairlead, on live backends with their shared counters. Needs --expose-gc.
 * Prints `[{"strategy", "backends", "ns", "bytes", "flipMs"}]`.
 */
import { Backend } from '../../build/data/backend/backend.js';
import { createStrategy } from '../../build/data/balance/strategies.js';
import { ThreadIo } from '../../build/data/stream/thread-io.js';
import { createBackendCounters } from '../../build/snapshot/counters.js';
import { createPoolCounters, PoolCounters } from '../../build/snapshot/pool-counters.js';
import { STRATEGY_NAMES } from '../../build/snapshot/snapshot.js';

const PICKS = Number(process.argv[2] ?? 1_000_000);
const WARM_UP = 0.3 * PICKS;
/** Times that a backend leaves or comes back, one after the other. */
const FLIPS = 50;
/** Requests in flight per unit of weight: no backend is idle, so that nobody can be passed over for that. Uneven. */
const IN_FLIGHT = [3, 5, 7, 4, 6];

/** Clients, of which many come again. A power of two: taking turns over them costs a mask. */
const KEYS = Array.from({ length: 1024 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);

/** A thousand backends are of uneven weights, from 1 to 256, the same at every run; fewer of 1 to 3. */
function weightOf(id, count) {
  return 1 + (count >= 1_000 ? (id * id * 31 + id * 17) % 256 : id % 3);
}

function backendsOf(count) {
  const io = new ThreadIo();
  const backends = Array.from({ length: count }, (_, id) => {
    const url = `http://127.0.0.1:${10_000 + id}`;
    const counters = createBackendCounters(1);
    const spec = { id, url, weight: weightOf(id, count), sessionToken: '', counters };
    // Nobody answers: heads have no limits.
    return new Backend(spec, null, { threadIndex: 0, threadCount: 1, io });
  });
  for (const { id, weight, counters } of backends) {
    const requests = weight * IN_FLIGHT[id % IN_FLIGHT.length];
    for (let request = 0; request < requests; request++) counters.requestStarted();
  }
  return backends;
}

function picks(strategy, count) {
  let last = null;
  for (let turn = 0; turn < count; turn++)
    last = strategy.pick(KEYS[turn & (KEYS.length - 1)], null);
  return last;
}

function timed(strategy) {
  const heap = process.memoryUsage().heapUsed;
  const begin = process.hrtime.bigint();
  if (picks(strategy, PICKS) === null) throw new Error('nothing was picked');
  const ns = Number(process.hrtime.bigint() - begin) / PICKS;
  return { ns, bytes: Math.max(0, process.memoryUsage().heapUsed - heap) / PICKS };
}

/** How long a thread stands still when health flips, up to the first pick after it; the median. */
function flipped(strategy, backends) {
  const times = [];
  for (let flip = 0; flip < FLIPS; flip++) {
    const eligible = backends.filter(({ id }) => flip % 2 === 0 || id !== flip);
    const begin = process.hrtime.bigint();
    strategy.rebuild(eligible);
    picks(strategy, 1);
    times.push(Number(process.hrtime.bigint() - begin) / 1e6);
  }
  return times.toSorted((a, b) => a - b)[FLIPS / 2];
}

function measure(name, count) {
  const counters = new PoolCounters(createPoolCounters(1), 0, 1);
  const strategy = createStrategy(name, {
    random: Math.random,
    nextTurn: () => counters.nextTurn(),
    comingTurn: () => counters.comingTurn(),
    now: () => performance.now(),
  });
  const backends = backendsOf(count);
  strategy.rebuild(backends);
  // Each has answered once: strategies that go by latency have something to compare.
  for (const backend of backends) {
    strategy.onStart?.(backend);
    strategy.onFinish?.(backend, false, 5 + (backend.id % 7));
  }
  picks(strategy, WARM_UP);
  globalThis.gc();
  // What happens once (a collection throws optimized code away, and it is made again) is no allocation of a pick.
  const runs = [timed(strategy), timed(strategy)];
  const ns = Math.min(...runs.map((run) => run.ns));
  const bytes = Math.min(...runs.map((run) => run.bytes));
  const flipMs = flipped(strategy, backends);
  return { strategy: name, backends: count, ns, bytes, flipMs };
}

const results = STRATEGY_NAMES.flatMap((name) =>
  [3, 100, 1_000].map((count) => measure(name, count)),
);
process.stdout.write(JSON.stringify(results));
