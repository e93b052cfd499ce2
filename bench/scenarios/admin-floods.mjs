/** What clients of the proxy feel while the admin API is flooded, or followed by many: nothing, it should be. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Skipped } from '../bench.mjs';
import { atRate, wrk } from '../load.mjs';
import { cpuTime, mainThreadTime } from '../measure.mjs';
import { latencies } from '../parse.mjs';
import { isInstalled } from '../stage.mjs';
import { median, pairedRatio } from '../statistics.mjs';
import { startAll, warmUp } from './loaded.mjs';

const FLOOD = fileURLToPath(new URL('../clients/admin-flood.mjs', import.meta.url));

const CLIENTS = 25;
const PER_CLIENT = 20;
/** Joining and leaving, beside the seconds that count. */
const AROUND_SECONDS = 2.5;
/** A p99 of fewer requests is the luck of a few. */
const LEAST_SECONDS = 8;
const TOKEN = 'admin-floods';
const NAME = 'fairlead';
const ALONE = 'alone';
/** The same once more: what its ratio is away from 1 is the machine's doing, and no other ratio says more than that. */
const AGAIN = 'alone, again';
const FOLLOWED = 'followers';
const FLOODED = 'flood';
/** Windows of a round, each time beginning with another one. */
const WINDOWS = [ALONE, FOLLOWED, AGAIN, FLOODED];

const secondsOf = ({ seconds }) => Math.max(LEAST_SECONDS, seconds);

const COLUMNS = [
  { key: 'name', title: 'admin API' },
  { key: 'perSecond', title: 'requests/s', digits: 0 },
  { key: 'p50Ms', title: 'p50 ms', digits: 2 },
  { key: 'p99Ms', title: 'p99 ms', digits: 2 },
  { key: 'p999Ms', title: 'p99.9 ms', digits: 2 },
  { key: 'ratio', title: 'p99 ÷ alone', digits: 2 },
  { key: 'ratioLow', title: 'lowest', digits: 2 },
  { key: 'ratioHigh', title: 'highest', digits: 2 },
  { key: 'core', title: 'proxy, core %', digits: 0 },
  { key: 'control', title: 'control thread, core %', digits: 0 },
  { key: 'callers', title: 'callers, core %', digits: 0 },
  { key: 'calls', title: 'calls/s', digits: 0 },
  { key: 'events', title: 'events/s', digits: 0 },
  { key: 'errors', title: 'errors', digits: 0 },
];
const MEDIANS = [
  'perSecond',
  'p50Ms',
  'p99Ms',
  'p999Ms',
  'core',
  'control',
  'callers',
  'calls',
  'events',
];

/** @satisfies {import('../bench.mjs').Scenario} */
export const adminFloods = {
  name: 'admin-floods',
  title: 'Floods of the admin API',
  about: `${CLIENTS * PER_CLIENT} small GET a second from ${CLIENTS} clients, in windows of one process: "${ALONE}" and "${AGAIN}" nobody calls the admin API, "${FOLLOWED}" 64 follow the events while a weight changes five times a second, "${FLOODED}" there are besides wrong tokens, foreign origins and hosts, bodies that are too large, too deep or never end, each as fast as it is answered, and 20 scrapes a second. The proxy may run on all cores, beside the load.`,
  peers: [],
  estimate: ({ options }) =>
    5 + options.rounds * WINDOWS.length * (secondsOf(options) + AROUND_SECONDS),

  async run(bench) {
    if (!isInstalled('h2load')) {
      throw new Skipped('h2load is not installed (Debian: apt-get install nghttp2-client)');
    }
    const notes = [];
    const task = { backends: bench.backend.ports.slice(0, 1), adminToken: TOKEN, isUnbound: true };
    const running = await startAll(bench, [{ name: NAME, peer: 'fairlead', task }], notes);
    try {
      const load = (_bench, target) => wrk(bench.stage, { ...target, connections: CLIENTS });
      const [warm] = await warmUp(bench, running, load, notes);
      const rounds = [];
      for (let round = 0; round < bench.options.rounds; round++) {
        const figures = new Map();
        for (let turn = 0; turn < WINDOWS.length; turn++) {
          const window = WINDOWS[(turn + round) % WINDOWS.length];
          figures.set(window, await measureOne(bench, warm, window));
        }
        rounds.push(figures);
      }
      return { columns: COLUMNS, rows: WINDOWS.map((window) => rowOf(window, rounds)), notes };
    } finally {
      await Promise.all(running.map(({ child }) => bench.stage.stop(child)));
    }
  },
};

async function measureOne({ stage, options }, { child, port, adminPort }, window) {
  const seconds = secondsOf(options);
  const flood =
    window === ALONE || window === AGAIN ? null : await beginFlood(stage, adminPort, window);
  const used = () => [
    allOf(child.pid),
    mainThreadTime(child.pid),
    flood === null ? 0 : allOf(flood.pid),
  ];
  const [before, begun] = [used(), performance.now()];
  let loaded;
  let counts;
  let spent;
  let took;
  try {
    loaded = await atRate(stage, { port, seconds, clients: CLIENTS, perClient: PER_CLIENT });
    spent = used().map((us, one) => us - before[one]);
    took = (performance.now() - begun) / 1000;
  } finally {
    counts = await flood?.end();
  }
  const [core, control, callers] = spent.map((us) => us / 1e4 / took);
  const { requests, errors } = loaded;
  return {
    ...latencies(requests),
    requests: requests.length,
    perSecond: requests.length / seconds,
    core,
    control,
    callers,
    calls: (counts?.calls ?? 0) / took,
    events: (counts?.events ?? 0) / took,
    errors,
  };
}

/** In microseconds. */
function allOf(pid) {
  const { userUs, systemUs } = cpuTime(pid);
  return userUs + systemUs;
}

/**
 * On the core of the load, and only while nobody else wants it: this is about what Fairlead's answers cost, not about what whoever
 * asks as fast as it can takes from the load beside it. `nice` is not enough: what it makes less of is the share, and whoever
 * wakes up still waits for the slice under way, some milliseconds; SCHED_IDLE is set aside at once (sched(7)).
 */
async function beginFlood(stage, adminPort, kind) {
  const command = ['--idle', '0', process.execPath, FLOOD, String(adminPort), TOKEN, kind];
  const child = stage.startLoad('chrt', command);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the clients of the admin API ended early');
    return JSON.parse(value);
  };
  await next();
  return {
    pid: child.pid,
    async end() {
      child.stdin.end();
      const counts = await next();
      if (child.exitCode === null) await once(child, 'exit');
      return counts;
    },
  };
}

function rowOf(window, rounds) {
  const all = (key, of = window) => rounds.map((figures) => figures.get(of)[key]);
  const sum = (key) => all(key).reduce((total, value) => total + value, 0);
  const ratio = window === ALONE ? null : pairedRatio(all('p99Ms'), all('p99Ms', ALONE));
  return {
    name: window,
    ...Object.fromEntries(MEDIANS.map((key) => [key, median(all(key))])),
    ratio: ratio?.median ?? null,
    ratioLow: ratio?.low ?? null,
    ratioHigh: ratio?.high ?? null,
    requests: sum('requests'),
    errors: sum('errors'),
  };
}
