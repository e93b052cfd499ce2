/** What an idle client connection holds in memory. */
import { Skipped } from '../bench.mjs';
import { h2load, openIdle, wrk } from '../load.mjs';
import { openFilesLimit, settledKiB } from '../measure.mjs';
import { median } from '../statistics.mjs';
import { startAll } from './loaded.mjs';
import { makeCertificate, mustHaveH2load } from './tls.mjs';

const CONNECTIONS = 4000;
/** A proxy's own files, and its connections to the backend while it is warmed up. */
const OTHER_FILES = 500;
const MOST_ROUNDS = 3;

const roundsOf = ({ isQuick, rounds }) => (isQuick ? 1 : Math.min(rounds, MOST_ROUNDS));

export const idle = scenarioOf('http1', {
  name: 'idle',
  title: '4,000 idle connections',
  peers: ['nginx', 'haproxy', 'go', 'httpxy'],
  quickPeers: ['nginx', 'haproxy', 'go'],
});

export const http2Idle = scenarioOf('h2c', {
  name: 'http2-idle',
  title: '4,000 idle connections of HTTP/2, in the clear',
  peers: ['nginx', 'haproxy'],
});

export const http2IdleTls = scenarioOf('h2', {
  name: 'http2-idle-tls',
  title: '4,000 idle connections of HTTP/2, over TLS',
  peers: ['nginx', 'haproxy', 'go'],
});

/**
 * @param {'http1' | 'h2c' | 'h2'} protocol
 * @returns {import('../bench.mjs').Scenario}
 */
function scenarioOf(protocol, names) {
  return {
    ...names,
    about: `${CONNECTIONS.toLocaleString('en')} client connections are opened, have one answer each, and stay open. Resident memory with them, minus resident memory after a warm-up of a second over 8 connections, by their number.`,
    estimate: ({ options }, proxies) => proxies.length * roundsOf(options) * 8,

    async run(bench, proxies) {
      mustHaveFiles();
      if (protocol !== 'http1') mustHaveH2load();
      const task = await taskOf(bench, protocol);
      const notes = [];
      const figures = new Map();
      for (let round = 0; round < roundsOf(bench.options); round++) {
        for (const peer of proxies) {
          try {
            const figure = await measureOne(bench, { name: peer, peer, task }, protocol);
            figures.set(peer, [...(figures.get(peer) ?? []), figure]);
          } catch (error) {
            if (peer === proxies[0]) throw error;
            notes.push(`${peer}: ${error.message}`);
          }
        }
      }
      return { columns: COLUMNS, rows: [...figures].map(rowOf), notes };
    },
  };
}

function mustHaveFiles() {
  const limit = openFilesLimit();
  if (limit >= CONNECTIONS + OTHER_FILES) return;
  throw new Skipped(
    `a process may have ${limit} open files; raise that to ${CONNECTIONS + OTHER_FILES} with "ulimit -n"`,
  );
}

async function taskOf({ stage, backend }, protocol) {
  const backends = backend.ports.slice(0, 1);
  if (protocol === 'h2') return { backends, tls: await makeCertificate(stage) };
  return { backends, isH2c: protocol === 'h2c' };
}

function rowOf([name, rounds]) {
  const of = (key) => median(rounds.map((round) => round[key]));
  return {
    name,
    beforeMiB: of('beforeMiB'),
    afterMiB: of('afterMiB'),
    perConnectionKiB: of('perConnectionKiB'),
    errors: rounds.reduce((sum, { errors }) => sum + errors, 0),
    requests: CONNECTIONS * rounds.length,
  };
}

const COLUMNS = [
  { key: 'name', title: 'proxy' },
  { key: 'beforeMiB', title: 'before, MiB', digits: 1 },
  { key: 'afterMiB', title: 'with them, MiB', digits: 1 },
  { key: 'perConnectionKiB', title: 'KiB per connection', digits: 2 },
  { key: 'errors', title: 'connections lost', digits: 0 },
];

/** A fresh process each time: memory that was used once is seldom given back. */
async function measureOne(bench, contestant, protocol) {
  const { stage } = bench;
  const [{ child, port }] = await startAll(bench, [contestant], []);
  try {
    const warmUp = { port, seconds: 1, connections: 8 };
    if (protocol === 'http1') await wrk(stage, warmUp);
    else await h2load(stage, { ...warmUp, streams: 1, isTls: protocol === 'h2' });
    const before = await settledKiB(child.pid);
    const clients = await openIdle(stage, { port, connections: CONNECTIONS, protocol });
    const after = await settledKiB(child.pid);
    const open = await clients.close();
    return {
      beforeMiB: before / 1024,
      afterMiB: after / 1024,
      perConnectionKiB: (after - before) / CONNECTIONS,
      errors: CONNECTIONS - open,
    };
  } finally {
    await stage.stop(child);
  }
}
