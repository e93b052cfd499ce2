/** The slowest requests at a fixed rate that every proxy can serve, while Fairlead is reloaded and scraped. */
import { readFileSync, writeFileSync } from 'node:fs';
import { Skipped } from '../bench.mjs';
import { atRate, wrk } from '../load.mjs';
import { latencies } from '../parse.mjs';
import { isInstalled } from '../stage.mjs';
import { median, pairedRatio } from '../statistics.mjs';
import { startAll, warmUp } from './loaded.mjs';

const CLIENTS = 64;
const PER_CLIENT = 50;
/** Requests that begin this soon after a reload or a scrape are looked at by themselves. */
const NEAR_MS = 50;
/** Joining and leaving, beside the seconds that count. */
const AROUND_SECONDS = 3;

const roundsOf = ({ isQuick, rounds }) => (isQuick ? 1 : rounds);
/** At least two reloads. */
const secondsOf = ({ seconds }) => Math.max(2, seconds);

const FIRST = 'fairlead';
const QUIET = 'fairlead, left alone';

/** @satisfies {import('../bench.mjs').Scenario} */
export const tail = {
  name: 'tail',
  title: 'Tail at a fixed rate',
  about: `${(CLIENTS * PER_CLIENT).toLocaleString('en')} small GET a second from ${CLIENTS} clients. "${FIRST}" has a reload to a changed config every second, and a metrics scrape every second half a second later; "${QUIET}" has neither.`,
  peers: ['nginx', 'haproxy'],
  quickPeers: ['nginx', 'haproxy'],
  estimate: ({ options }, proxies) =>
    (proxies.length + 1) *
    (AROUND_SECONDS + roundsOf(options) * (secondsOf(options) + AROUND_SECONDS)),

  async run(bench, proxies) {
    if (!isInstalled('h2load')) {
      throw new Skipped('h2load is not installed (Debian: apt-get install nghttp2-client)');
    }
    const notes = [];
    const contestants = [
      { name: FIRST, peer: 'fairlead' },
      { name: QUIET, peer: 'fairlead' },
      ...proxies.slice(1).map((peer) => ({ name: peer, peer })),
    ].map((contestant) => ({ ...contestant, task: { backends: bench.backend.ports.slice(0, 1) } }));
    const running = await startAll(bench, contestants, notes);
    try {
      const load = (_bench, target) => wrk(bench.stage, { ...target, connections: CLIENTS });
      const warm = await warmUp(bench, running, load, notes);
      const rounds = [];
      for (let round = 0; round < roundsOf(bench.options); round++) {
        const figures = new Map();
        for (let turn = 0; turn < warm.length; turn++) {
          const contestant = warm[(turn + round) % warm.length];
          figures.set(
            contestant.name,
            await measureOne(bench, contestant, secondsOf(bench.options)),
          );
        }
        rounds.push(figures);
      }
      return { columns: COLUMNS, rows: rowsOf(warm, rounds), notes };
    } finally {
      await Promise.all(running.map(({ child }) => bench.stage.stop(child)));
    }
  },
};

const COLUMNS = [
  { key: 'name', title: 'proxy' },
  { key: 'perSecond', title: 'requests/s', digits: 0 },
  { key: 'p50Ms', title: 'p50 ms', digits: 2 },
  { key: 'p99Ms', title: 'p99 ms', digits: 2 },
  { key: 'p999Ms', title: 'p99.9 ms', digits: 2 },
  { key: 'maxMs', title: 'max ms', digits: 2 },
  { key: 'ratio', title: 'Fairlead ÷ it (p99)', digits: 2 },
  { key: 'nearP99Ms', title: `p99 ms within ${NEAR_MS} ms of a change`, digits: 2 },
  { key: 'changes', title: 'reloads and scrapes', digits: 0 },
  { key: 'errors', title: 'errors', digits: 0 },
];

async function measureOne({ stage }, contestant, seconds) {
  const isChanged = contestant.name === FIRST;
  const changes = isChanged ? beginChanges(contestant) : null;
  let loaded;
  try {
    loaded = await atRate(stage, {
      port: contestant.port,
      seconds,
      clients: CLIENTS,
      perClient: PER_CLIENT,
    });
  } finally {
    await changes?.end();
  }
  const { requests, errors } = loaded;
  const near = requests.filter(({ startMs }) =>
    (changes?.times ?? []).some((time) => startMs >= time && startMs < time + NEAR_MS),
  );
  return {
    ...latencies(requests),
    requests: requests.length,
    perSecond: requests.length / seconds,
    nearP99Ms: near.length === 0 ? null : latencies(near).p99Ms,
    changes: changes?.times.length ?? null,
    errors,
  };
}

/** Every 500 ms, by turns a reload (the first, after 500 ms) and a scrape, until `end`. A reload that changes nothing is an error. */
function beginChanges({ adminPort, configFile }) {
  const times = [];
  const pending = new Set();
  let failure = null;
  let beat = 0;
  const change = async () => {
    times.push(Date.now());
    if (beat++ % 2 === 1) {
      await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
      return;
    }
    const config = JSON.parse(readFileSync(configFile, 'utf8'));
    for (const backend of config.backends) backend.weight = 3 - backend.weight;
    writeFileSync(configFile, JSON.stringify(config));
    const answer = await fetch(`http://127.0.0.1:${adminPort}/reload`, { method: 'POST' });
    const { changed } = await answer.json();
    if (changed !== true) throw new Error(`a reload changed nothing (${answer.status})`);
  };
  const timer = setInterval(() => {
    const one = change().catch((error) => {
      failure ??= error;
    });
    pending.add(one);
    void one.finally(() => pending.delete(one));
  }, 500);
  return {
    times,
    async end() {
      clearInterval(timer);
      await Promise.all(pending);
      if (failure !== null) throw failure;
    },
  };
}

function rowsOf(running, rounds) {
  return running.map(({ name }) => {
    const all = (key) => valuesOf(rounds, name, key);
    const nears = all('nearP99Ms').filter((value) => value !== null);
    const isFirst = name === FIRST;
    return {
      name,
      ...Object.fromEntries(MEDIANS.map((key) => [key, median(all(key))])),
      ratio: isFirst ? null : pairedRatio(valuesOf(rounds, FIRST, 'p99Ms'), all('p99Ms')).median,
      nearP99Ms: nears.length === 0 ? null : median(nears),
      changes: isFirst ? sum(all('changes')) : null,
      requests: sum(all('requests')),
      errors: sum(all('errors')),
    };
  });
}

const MEDIANS = ['perSecond', 'p50Ms', 'p99Ms', 'p999Ms', 'maxMs'];

function valuesOf(rounds, name, key) {
  return rounds.map((figures) => figures.get(name)[key]);
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
