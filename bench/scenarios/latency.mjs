/** What one more client feels beside a load that leaves the proxy half of its capacity, or a fifth of it. */
import { Skipped } from '../bench.mjs';
import { besideLoad, wrk } from '../load.mjs';
import { cpuTime } from '../measure.mjs';
import { latencies } from '../parse.mjs';
import { isInstalled } from '../stage.mjs';
import { median, pairedRatio } from '../statistics.mjs';
import { startAll, warmUp } from './loaded.mjs';

const CLIENTS = 64;
/** Of what Fairlead does with the same clients when they ask as fast as they can. */
const SHARES_PERCENT = [50, 80];
/** Requests of the second client for each hundred of the load. */
const SECOND_CLIENT_PERCENT = 1;
const CAPACITY_SECONDS = 2;
/** The load begins before the second client, and starting takes time. */
const AROUND_SECONDS = 2;
const FIRST = 'fairlead';

const COLUMNS = [
  { key: 'name', title: 'proxy' },
  { key: 'load', title: 'load' },
  { key: 'perSecond', title: 'requests/s', digits: 0 },
  { key: 'p50Ms', title: 'p50 ms', digits: 3 },
  { key: 'p99Ms', title: 'p99 ms', digits: 2 },
  { key: 'p50Ratio', title: 'Fairlead ÷ it (p50)', digits: 2 },
  { key: 'p99Ratio', title: '(p99)', digits: 2 },
  { key: 'cpuUs', title: 'CPU µs/request', digits: 1 },
  { key: 'ratio', title: '(CPU)', digits: 2 },
  { key: 'errors', title: 'errors', digits: 0 },
];
const MEDIANS = ['perSecond', 'p50Ms', 'p99Ms', 'cpuUs'];

/** @satisfies {import('../bench.mjs').Scenario} */
export const latency = {
  name: 'latency',
  title: 'Latency of a second client',
  about: `Small GET at ${SHARES_PERCENT.join(' and ')} % of what Fairlead does with ${CLIENTS} clients, all of which begin together, so that their requests come in bursts. Latencies are those of another client that sends ${SECOND_CLIENT_PERCENT} % as many.`,
  peers: ['nginx', 'haproxy'],
  estimate: ({ options }, proxies) =>
    CAPACITY_SECONDS +
    proxies.length *
      (3 + SHARES_PERCENT.length * options.rounds * (options.seconds + AROUND_SECONDS)),

  async run(bench, proxies) {
    if (!isInstalled('h2load')) {
      throw new Skipped('h2load is not installed (Debian: apt-get install nghttp2-client)');
    }
    const notes = [];
    const task = { backends: bench.backend.ports.slice(0, 1) };
    const contestants = proxies.map((peer) => ({ name: peer, peer, task }));
    const running = await startAll(bench, contestants, notes);
    try {
      const load = (_bench, target) => wrk(bench.stage, { ...target, connections: CLIENTS });
      const warm = await warmUp(bench, running, load, notes);
      const { perSecond } = await load(bench, { port: warm[0].port, seconds: CAPACITY_SECONDS });
      const rows = [];
      for (const percent of SHARES_PERCENT) {
        const rate = Math.round((perSecond * percent) / 100);
        const rounds = await measureRounds(bench, warm, rate);
        rows.push(...rowsOf(warm, rounds, `${percent} %`));
      }
      return { columns: COLUMNS, rows, notes };
    } finally {
      await Promise.all(running.map(({ child }) => bench.stage.stop(child)));
    }
  },
};

async function measureRounds(bench, warm, rate) {
  const rounds = [];
  for (let round = 0; round < bench.options.rounds; round++) {
    const figures = new Map();
    for (let turn = 0; turn < warm.length; turn++) {
      const contestant = warm[(turn + round) % warm.length];
      figures.set(contestant.name, await measureOne(bench, contestant, rate));
    }
    rounds.push(figures);
  }
  return rounds;
}

async function measureOne({ stage, options }, { child, port }, rate) {
  const before = cpuTime(child.pid);
  const { seconds } = options;
  const second = (rate * SECOND_CLIENT_PERCENT) / 100;
  const loaded = await besideLoad(stage, { port, seconds, clients: CLIENTS, rate, second });
  const after = cpuTime(child.pid);
  const cpuUs = after.userUs + after.systemUs - before.userUs - before.systemUs;
  return {
    ...latencies(loaded.requests),
    perSecond: loaded.perSecond,
    cpuUs: cpuUs / loaded.total,
    requests: loaded.total,
    errors: loaded.errors,
  };
}

const sum = (values) => values.reduce((total, value) => total + value, 0);

function rowsOf(warm, rounds, load) {
  const all = (name, key) => rounds.map((figures) => figures.get(name)[key]);
  return warm.map(({ name }) => {
    const ratioOf = (key) =>
      name === FIRST ? null : (pairedRatio(all(FIRST, key), all(name, key))?.median ?? null);
    return {
      name,
      load,
      ...Object.fromEntries(MEDIANS.map((key) => [key, median(all(name, key))])),
      p50Ratio: ratioOf('p50Ms'),
      p99Ratio: ratioOf('p99Ms'),
      ratio: ratioOf('cpuUs'),
      requests: sum(all(name, 'requests')),
      errors: sum(all(name, 'errors')),
    };
  });
}
