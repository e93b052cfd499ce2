/** What an idle client connection holds in memory. */
import { Skipped } from '../bench.mjs';
import { openIdle, wrk } from '../load.mjs';
import { openFilesLimit, settledKiB } from '../measure.mjs';
import { median } from '../statistics.mjs';
import { startAll } from './loaded.mjs';

const CONNECTIONS = 4000;
/** A proxy's own files, and its connections to the backend while it is warmed up. */
const OTHER_FILES = 500;
const MOST_ROUNDS = 3;

const roundsOf = ({ isQuick, rounds }) => (isQuick ? 1 : Math.min(rounds, MOST_ROUNDS));

/** @satisfies {import('../bench.mjs').Scenario} */
export const idle = {
  name: 'idle',
  title: '4,000 idle connections',
  about: `${CONNECTIONS.toLocaleString('en')} client connections are opened, have one answer each, and stay open. Resident memory with them, minus resident memory after a warm-up of a second over 8 connections, by their number.`,
  peers: ['nginx', 'haproxy', 'go', 'httpxy'],
  quickPeers: ['nginx', 'haproxy', 'go'],
  estimate: ({ options }, proxies) => proxies.length * roundsOf(options) * 8,

  async run(bench, proxies) {
    const limit = openFilesLimit();
    if (limit < CONNECTIONS + OTHER_FILES) {
      throw new Skipped(
        `a process may have ${limit} open files; raise that to ${CONNECTIONS + OTHER_FILES} with "ulimit -n"`,
      );
    }
    const notes = [];
    const figures = new Map();
    for (let round = 0; round < roundsOf(bench.options); round++) {
      for (const peer of proxies) {
        try {
          figures.set(peer, [...(figures.get(peer) ?? []), await measureOne(bench, peer)]);
        } catch (error) {
          if (peer === proxies[0]) throw error;
          notes.push(`${peer}: ${error.message}`);
        }
      }
    }
    const rows = [...figures].map(([name, rounds]) => {
      const of = (key) => median(rounds.map((round) => round[key]));
      return {
        name,
        beforeMiB: of('beforeMiB'),
        afterMiB: of('afterMiB'),
        perConnectionKiB: of('perConnectionKiB'),
        errors: rounds.reduce((sum, { errors }) => sum + errors, 0),
        requests: CONNECTIONS * rounds.length,
      };
    });
    return { columns: COLUMNS, rows, notes };
  },
};

const COLUMNS = [
  { key: 'name', title: 'proxy' },
  { key: 'beforeMiB', title: 'before, MiB', digits: 1 },
  { key: 'afterMiB', title: 'with them, MiB', digits: 1 },
  { key: 'perConnectionKiB', title: 'KiB per connection', digits: 2 },
  { key: 'errors', title: 'connections lost', digits: 0 },
];

/** A fresh process each time: memory that was used once is seldom given back. */
async function measureOne(bench, peer) {
  const { stage, backend } = bench;
  const contestant = { name: peer, peer, task: { backends: backend.ports.slice(0, 1) } };
  const [{ child, port }] = await startAll(bench, [contestant], []);
  try {
    await wrk(stage, { port, seconds: 1, connections: 8 });
    const before = await settledKiB(child.pid);
    const clients = await openIdle(stage, { port, connections: CONNECTIONS });
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
