/** What a site with many pools and routes costs beside a small one: its start, a reload, its memory. */
import { renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { settledKiB } from '../measure.mjs';
import { freePorts } from '../stage.mjs';
import { median } from '../statistics.mjs';

const COMMAND = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const SIZES = [
  { name: '1 pool', pools: 1, routes: 1 },
  { name: '200 pools', pools: 200, routes: 1_000 },
];
const BACKENDS = 10;
const RELOADS = 5;
/** All that a start or a reload has taken is given back by then. */
const SETTLING_MS = 8_000;
const START_MS = 30_000;
const MOST_ROUNDS = 3;

const roundsOf = ({ isQuick, rounds }) => (isQuick ? 1 : Math.min(rounds, MOST_ROUNDS));

const COLUMNS = [
  { key: 'name', title: 'site' },
  { key: 'startMs', title: 'start, ms', digits: 0 },
  { key: 'reloadMs', title: 'reload, ms', digits: 0 },
  { key: 'memoryMiB', title: 'memory, MiB', digits: 1 },
  { key: 'moreMiB', title: 'more than 1 pool', digits: 1 },
];

/** @satisfies {import('../bench.mjs').Scenario} */
export const manyPools = {
  name: 'many-pools',
  title: 'Many pools',
  about: `${BACKENDS} backends in each pool; with 200 pools, 1,000 routes over 200 hosts, as YAML. Start: from the command to the open port, first checks included. Reload: one policy of one pool is another one, until the admin API answers that all data threads run on it; the median of ${RELOADS}. Memory: resident, ${SETTLING_MS / 1000} s after the last reload, of one data thread.`,
  peers: [],
  estimate: ({ options }) => roundsOf(options) * SIZES.length * (SETTLING_MS / 1000 + 6),

  async run(bench) {
    const rounds = [];
    for (let round = 0; round < roundsOf(bench.options); round++) {
      const figures = [];
      for (const size of SIZES) figures.push(await measureOne(bench, size));
      rounds.push(figures);
    }
    const middle = (index, key) => median(rounds.map((round) => round[index][key]));
    const rows = SIZES.map(({ name }, index) => ({
      name,
      startMs: middle(index, 'startMs'),
      reloadMs: middle(index, 'reloadMs'),
      memoryMiB: middle(index, 'memoryMiB'),
      moreMiB: median(rounds.map((round) => round[index].memoryMiB - round[0].memoryMiB)),
    }));
    return { columns: COLUMNS, rows, notes: [] };
  },
};

async function measureOne({ stage, options, backend }, { pools, routes }) {
  const [port, adminPort] = await freePorts(2);
  const site = { port, adminPort, pools, routes, backends: backend.ports.slice(0, BACKENDS) };
  const file = stage.write(`pools-${port}.yaml`, configOf(site, 2));
  const startedMs = performance.now();
  const child = stage.startProxy(options.node, [COMMAND, '--config', file], {
    output: stage.path(`pools-${port}.log`),
  });
  try {
    await untilReady(adminPort, child);
    const startMs = performance.now() - startedMs;
    const times = [];
    for (let reload = 1; reload <= RELOADS; reload++) {
      await sleep(1_000);
      writeFileSync(`${file}.new`, configOf(site, 2 + reload));
      renameSync(`${file}.new`, file);
      const beganMs = performance.now();
      const answer = await fetch(`http://127.0.0.1:${adminPort}/reload`, { method: 'POST' });
      const { changed } = await answer.json();
      times.push(performance.now() - beganMs);
      if (changed !== true) throw new Error('a reload changed nothing');
    }
    await sleep(SETTLING_MS);
    const memoryMiB = (await settledKiB(child.pid)) / 1024;
    return { startMs, reloadMs: median(times), memoryMiB };
  } finally {
    await stage.stop(child);
  }
}

async function untilReady(adminPort, child) {
  const deadline = performance.now() + START_MS;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${adminPort}/readyz`).catch(() => null);
    await answer?.text();
    if (answer?.status === 200) return;
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error('it does not start');
    await sleep(5);
  }
}

/** @param attempts of the first pool: what reloads change */
function configOf({ port, adminPort, pools, routes, backends }, attempts) {
  return [
    `port: ${port}`,
    `admin_port: ${adminPort}`,
    'host: 127.0.0.1',
    'threads: 1',
    'access_log: false',
    'state_file: false',
    // Reloads are measured, so only those that are asked for.
    'watch: false',
    'pools:',
    ...Array.from({ length: pools }, (_, index) => [
      `  pool-${index}:`,
      `    strategy: ${index % 2 === 0 ? 'round-robin' : 'least-connections'}`,
      '    health_check: { method: tcp }',
      `    retries: { attempts: ${index === 0 ? attempts : 3} }`,
      '    backends:',
      ...backends.map((backend) => `      - http://127.0.0.1:${backend}`),
    ]).flat(),
    'routes:',
    ...Array.from({ length: routes }, (_, index) => [
      `  - host: site-${index % 200}.example.com`,
      `    path: /part-${Math.floor(index / 200)}/`,
      `    pool: pool-${index % pools}`,
    ]).flat(),
    '',
  ].join('\n');
}
