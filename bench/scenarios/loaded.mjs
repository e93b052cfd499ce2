/**
 * The measurement that most scenarios share: contestants take turns under the same load, round after round. Each one is
 * loaded alone; the others are idle meanwhile.
 */
import { coreTime, cpuTime, residentKiB } from '../measure.mjs';
import { fairlead } from '../peers/fairlead.mjs';
import { untilAnswered } from '../ready.mjs';
import { proxyCores } from '../stage.mjs';
import { median, pairedRatio } from '../statistics.mjs';

/**
 * @typedef {object} Contestant
 * @property {string} name of its row
 * @property {string} peer
 * @property {import('../peers/peer.mjs').Task} task
 *
 * @typedef {(bench: import('../bench.mjs').Bench, target: { port: number, seconds: number }) => Promise<import('../parse.mjs').Loaded>} Load
 */

export const LOADED_COLUMNS = [
  { key: 'name', title: 'proxy' },
  { key: 'cpuUs', title: 'CPU µs/request', digits: 1 },
  { key: 'userUs', title: 'user', digits: 1 },
  { key: 'systemUs', title: 'sys', digits: 1 },
  { key: 'ratio', title: 'Fairlead ÷ it', digits: 2 },
  { key: 'ratioLow', title: 'lowest', digits: 2 },
  { key: 'ratioHigh', title: 'highest', digits: 2 },
  { key: 'perSecond', title: 'requests/s', digits: 0 },
  { key: 'p50Ms', title: 'p50 ms', digits: 2 },
  { key: 'p99Ms', title: 'p99 ms', digits: 2 },
  { key: 'memoryMiB', title: 'memory MiB', digits: 0 },
  { key: 'othersPercent', title: 'others %', digits: 0 },
  { key: 'errors', title: 'errors', digits: 0 },
];

/**
 * Of scenarios that change something under load and count what clients saw of it.
 * @param what clients do: requests, connections.
 * @param counts of what was changed.
 */
export function changeColumns(what, counts) {
  return [
    { key: 'name', title: 'proxy' },
    { key: 'perSecond', title: `${what}/s`, digits: 0 },
    { key: 'p50Ms', title: 'p50 ms', digits: 2 },
    { key: 'p99Ms', title: 'p99 ms', digits: 2 },
    { key: 'requests', title: what, digits: 0 },
    ...counts.map(({ key, title }) => ({ key, title, digits: 0 })),
    { key: 'errors', title: 'errors', digits: 0 },
  ];
}

const FIGURES = [
  'cpuUs',
  'userUs',
  'systemUs',
  'perSecond',
  'p50Ms',
  'p99Ms',
  'memoryMiB',
  'othersPercent',
];

/**
 * A scenario of one load on Fairlead and some peers.
 * @param {Omit<import('../bench.mjs').Scenario, 'run' | 'estimate'> & { load: Load, task: (bench: import('../bench.mjs').Bench) => import('../peers/peer.mjs').Task }} description
 * @returns {import('../bench.mjs').Scenario}
 */
export function loadedScenario({ load, task, ...scenario }) {
  return {
    ...scenario,
    estimate: loadedSeconds,
    run(bench, proxies) {
      const contestants = proxies.map((peer) => ({
        name: peer,
        peer,
        task: task(bench),
      }));
      return measureLoaded(bench, contestants, load);
    },
  };
}

export function loadedSeconds(bench, proxies) {
  const { rounds, seconds } = bench.options;
  return proxies.reduce(
    (sum, name) => sum + warmUpSeconds(bench, name) + rounds * (seconds + 0.2),
    2,
  );
}

const WARM_UP_TURNS = 3;

function warmUpSeconds({ options, peers }, name) {
  if (peers.get(name).isJustInTime !== true) return 1;
  return options.isQuick ? 2 : 3;
}

/**
 * @param {readonly Contestant[]} contestants the first is what the others are compared with
 * @param {Load} load
 * @returns {Promise<import('../bench.mjs').Outcome>}
 */
export async function measureLoaded(bench, contestants, load) {
  const notes = [];
  const rounds = await loadedRounds(bench, contestants, load, bench.options.rounds, notes);
  const [first] = contestants;
  const rows = contestants.flatMap(({ name }) => {
    const row = loadedRow(rounds, name, name === first.name ? null : [first.name, name]);
    return row ?? [];
  });
  return { columns: LOADED_COLUMNS, rows, notes };
}

/**
 * Starts them, warms them up and loads each of them once a round.
 * @param {string[]} notes
 * @returns {Promise<ReadonlyMap<string, Record<string, number>>[]>} by round, figures by name
 */
export async function loadedRounds(bench, contestants, load, count, notes) {
  const running = await startAll(bench, contestants, notes);
  try {
    const warm = await warmUp(bench, running, load, notes);
    const rounds = [];
    for (let round = 0; round < count; round++) {
      rounds.push(await measureRound(bench, warm, load, round, notes));
    }
    return rounds;
  } finally {
    await Promise.all(running.map(({ child }) => bench.stage.stop(child)));
  }
}

/**
 * Starts them side by side. One that does not come up is left out and noted, but nothing works without the first, and
 * every Fairlead must come up.
 * @param {readonly Contestant[]} contestants
 * @param {string[]} notes
 */
export async function startAll(bench, contestants, notes) {
  const started = await Promise.allSettled(
    contestants.map(async ({ name, peer, task }) => {
      const running = await bench.peers.get(peer).start(bench, task);
      try {
        const { tls, isH2c } = task;
        await untilAnswered({ port: running.port, isTls: tls !== undefined, isH2c });
      } catch (error) {
        await bench.stage.stop(running.child);
        throw new Error(`${error.message} ${bench.stage.lastComplaint(running.child)}`.trim(), {
          cause: error,
        });
      }
      return { name, peer, cores: proxyCores(task.threads ?? 1), ...running };
    }),
  );
  for (const [index, { reason }] of started.entries()) {
    if (reason !== undefined) notes.push(`${contestants[index].name}: ${reason.message}`);
  }
  const running = started.flatMap((result) =>
    result.status === 'fulfilled' ? [result.value] : [],
  );
  const isFailure = ({ status }, index) =>
    status === 'rejected' && isNeeded(contestants[index], contestants);
  if (started.some(isFailure)) {
    await Promise.all(running.map(({ child }) => bench.stage.stop(child)));
    throw new Error(notes.join('; '));
  }
  return running;
}

/** A peer that fails is left out of the table; with Fairlead or the first, the scenario fails. */
function isNeeded(contestant, [first]) {
  return contestant === first || contestant.peer === fairlead.name;
}

function busySeconds({ child }) {
  const { userUs, systemUs } = cpuTime(child.pid);
  return (userUs + systemUs) / 1e6;
}

/**
 * Loads each of them, again if it got little of its core on a machine that was busy with something else: a compiler
 * that works while the program runs must have had its time. Returns those that stood it.
 */
export async function warmUp(bench, running, load, notes) {
  const warm = [];
  for (const contestant of running) {
    try {
      const seconds = warmUpSeconds(bench, contestant.peer);
      const begin = busySeconds(contestant);
      for (let turn = 0; turn < WARM_UP_TURNS; turn++) {
        await load(bench, { port: contestant.port, seconds });
        if (busySeconds(contestant) - begin > seconds / 2) break;
      }
      warm.push(contestant);
    } catch (error) {
      failed(contestant, running, error, notes);
    }
  }
  return warm;
}

function failed(contestant, running, error, notes, when = '') {
  const note = `${contestant.name}${when}: ${error.message}`;
  if (isNeeded(contestant, running)) throw new Error(note, { cause: error });
  notes.push(note);
}

/** What the programs of a contestant's cores have had of them, all cores together, in microseconds. */
function coresTime({ cores }) {
  return cores.reduce((sum, core) => sum + coreTime(core), 0);
}

/** One interval for each; another one begins each time. */
async function measureRound(bench, running, load, round, notes) {
  const figures = new Map();
  for (let turn = 0; turn < running.length; turn++) {
    const contestant = running[(turn + round) % running.length];
    const { name, child, port, cores } = contestant;
    const before = cpuTime(child.pid);
    const coresBefore = coresTime(contestant);
    try {
      const loaded = await load(bench, { port, seconds: bench.options.seconds });
      const after = cpuTime(child.pid);
      const coresUs = coresTime(contestant) - coresBefore;
      const userUs = (after.userUs - before.userUs) / loaded.requests;
      const systemUs = (after.systemUs - before.systemUs) / loaded.requests;
      const memoryMiB = residentKiB(child.pid) / 1024;
      const ownUs = (userUs + systemUs) * loaded.requests;
      const othersUs = Math.max(0, coresUs - ownUs);
      const othersPercent = othersUs / (bench.options.seconds * 1e4 * cores.length);
      figures.set(name, {
        ...loaded,
        othersPercent,
        userUs,
        systemUs,
        cpuUs: userUs + systemUs,
        memoryMiB,
      });
    } catch (error) {
      failed(contestant, running, error, notes, `, round ${round + 1}`);
    }
  }
  return figures;
}

/**
 * The middle of one contestant's rounds; null when it has stood none.
 * @param {Awaited<ReturnType<typeof loadedRounds>>} rounds
 * @param {readonly [string, string] | null} pair whose CPU time per request is divided by whose; null: nobody's
 * @returns {import('../bench.mjs').Row | null}
 */
export function loadedRow(rounds, name, pair) {
  const whole = rounds.filter((figures) =>
    [name, ...(pair ?? [])].every((one) => figures.has(one)),
  );
  if (whole.length === 0) return null;
  const all = (of, key) => whole.map((figures) => figures.get(of)[key]);
  const ratio = pair === null ? null : pairedRatio(...pair.map((one) => all(one, 'cpuUs')));
  return {
    name,
    ...Object.fromEntries(FIGURES.map((key) => [key, median(all(name, key))])),
    ratio: ratio?.median ?? null,
    ratioLow: ratio?.low ?? null,
    ratioHigh: ratio?.high ?? null,
    requests: all(name, 'requests').reduce((sum, count) => sum + count, 0),
    errors: all(name, 'errors').reduce((sum, count) => sum + count, 0),
  };
}
