/** What clients of the proxy feel while the admin API is flooded, or followed by many: nothing, it should be. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Skipped } from '../bench.mjs';
import { atRate, joiningTime, wrk } from '../load.mjs';
import { cpuTime, mainThreadTime } from '../measure.mjs';
import { latencies } from '../parse.mjs';
import { isInstalled, mayBeFirst, setFirst } from '../stage.mjs';
import { median, percentileOfGroups, withInterval } from '../statistics.mjs';
import { startAll, warmUp } from './loaded.mjs';

const FLOOD = fileURLToPath(new URL('../clients/admin-flood.mjs', import.meta.url));

/** Less than a tenth of what one data thread can do: whoever waits, waits for Fairlead, and not behind other requests. */
const CLIENTS = 25;
const PER_CLIENT = 80;
const TOKEN = 'admin-floods';
/** As `clients/admin-flood.mjs` calls them. */
export const FLOODS = [
  'wrong-token',
  'foreign-origin',
  'too-large',
  'too-deep',
  'slow-bodies',
  'followers',
  'all',
  'elsewhere',
];

const WINDOW_MS = 1000;
/** After it has been turned on or off. */
const SETTLING_MS = 100;
const LEAST_PAIRS = 60;
/** p99. */
const SHARE = 0.99;
/** Joining and leaving, starting the callers. */
const AROUND_SECONDS = 4;
/** The load is one of even seconds by then. */
const HEAD_START_MS = 500;

const pairsOf = ({ rounds }) => Math.max(LEAST_PAIRS, rounds);
const secondsOf = (options) => (2 * pairsOf(options) * WINDOW_MS) / 1000;

const COLUMNS = [
  { key: 'name', title: 'flood' },
  { key: 'offP50Ms', title: 'p50 ms without', digits: 3 },
  { key: 'onP50Ms', title: 'with', digits: 3 },
  { key: 'offP99Ms', title: 'p99 ms without', digits: 3 },
  { key: 'onP99Ms', title: 'with', digits: 3 },
  { key: 'pooledRatio', title: 'with ÷ without', digits: 2 },
  { key: 'pooledInterval', title: '95 %' },
  { key: 'ratio', title: 'p99 of a second, with ÷ without', digits: 2 },
  { key: 'interval', title: '95 %' },
  { key: 'sameInterval', title: 'without ÷ without, 95 %' },
  { key: 'offControl', title: 'control thread without, core %', digits: 1 },
  { key: 'onControl', title: 'with', digits: 1 },
  { key: 'onCallers', title: 'callers, core %', digits: 0 },
  { key: 'calls', title: 'calls/s', digits: 0 },
  { key: 'events', title: 'events/s', digits: 0 },
  { key: 'errors', title: 'errors', digits: 0 },
];

/** @satisfies {import('../bench.mjs').Scenario} */
export const adminFloods = {
  name: 'admin-floods',
  title: 'Floods of the admin API',
  about: `${CLIENTS * PER_CLIENT} small GET a second from ${CLIENTS} clients, and beside them, one second on and one off, what an admin API has to bear: tokens that are wrong or missing, foreign origins and hosts, bodies that are too large or too deep, all as fast as they are answered; 64 bodies that never end; 64 who follow the events while a weight changes five times a second, which it does in the other seconds, too; all at once, with 20 scrapes a second. "elsewhere", Fairlead is not called: the deep bodies go to another server, and what that costs, the callers do. What begins in the first ${SETTLING_MS} ms of a second does not count. Of the p99 of each second, the ratio within a pair is taken, and the middle of these: a second in which the machine was elsewhere is one of many so, while it has most of the slowest hundredth of all requests. The intervals are those of drawing other pairs. The proxy may run on all cores, beside the load.`,
  peers: [],
  estimate: ({ options }) => 5 + options.floods.length * (secondsOf(options) + AROUND_SECONDS),

  async run(bench) {
    const { stage, options, backend } = bench;
    if (!isInstalled('h2load')) {
      throw new Skipped('h2load is not installed (Debian: apt-get install nghttp2-client)');
    }
    const notes = [];
    const isFirst = mayBeFirst();
    if (!isFirst) {
      notes.push(
        'chrt --fifo is not allowed: what requests wait for the load and the backend, beside whatever else runs on their core, is in the figures.',
      );
    }
    const task = { backends: backend.ports.slice(0, 1), adminToken: TOKEN, isUnbound: true };
    const running = await startAll(bench, [{ name: 'fairlead', peer: 'fairlead', task }], notes);
    try {
      const load = (_bench, target) => wrk(stage, { ...target, connections: CLIENTS });
      const [warm] = await warmUp(bench, running, load, notes);
      if (isFirst) setFirst(backend.child.pid, true);
      const rows = [];
      for (const kind of options.floods) {
        rows.push(await measureOne(stage, warm, { kind, isFirst, pairs: pairsOf(options) }));
      }
      return { columns: COLUMNS, rows, notes };
    } finally {
      if (isFirst) setFirst(backend.child.pid, false);
      await Promise.all(running.map(({ child }) => stage.stop(child)));
    }
  },
};

async function measureOne(stage, { child, port, adminPort }, { kind, isFirst, pairs }) {
  const flood = await readyFlood(stage, adminPort, kind);
  const seconds = (2 * pairs * WINDOW_MS + 2 * HEAD_START_MS) / 1000;
  const target = { port, seconds, clients: CLIENTS, perClient: PER_CLIENT, isFirst };
  const loading = atRate(stage, target);
  // It is awaited below.
  loading.catch(() => {});
  let windows;
  let counts;
  try {
    await sleep(joiningTime(CLIENTS) * 1000 + HEAD_START_MS);
    windows = await byTurns(flood, pairs, () => [mainThreadTime(child.pid), allOf(flood.pid)]);
  } finally {
    counts = await flood.end();
  }
  return rowOf(kind, windows, counts, await loading);
}

/**
 * Seconds with and without it, in pairs whose order is a coin's.
 * @param {() => number[]} used CPU time so far, in microseconds
 */
async function byTurns(flood, pairs, used) {
  const plan = Array.from({ length: pairs }, () =>
    Math.random() < 0.5 ? [true, false] : [false, true],
  ).flat();
  const begunMs = Date.now();
  const windows = [];
  let isOn = false;
  for (const [index, mustBeOn] of plan.entries()) {
    if (mustBeOn !== isOn) await flood.turn(mustBeOn ? 'on' : 'off');
    isOn = mustBeOn;
    const startMs = begunMs + index * WINDOW_MS;
    await until(startMs + SETTLING_MS);
    const [fromMs, before] = [Date.now(), used()];
    await until(startMs + WINDOW_MS);
    const toMs = Date.now();
    const spent = used().map((us, one) => us - before[one]);
    windows.push({ pair: index >> 1, isOn, fromMs, toMs, spent });
  }
  if (isOn) await flood.turn('off');
  return windows;
}

async function until(ms) {
  await sleep(Math.max(0, ms - Date.now()));
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
async function readyFlood(stage, adminPort, kind) {
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
    async turn(which) {
      child.stdin.write(`${which}\n`);
      await next();
    },
    async end() {
      child.stdin.end();
      const counts = await next();
      if (child.exitCode === null) await once(child, 'exit');
      return counts;
    },
  };
}

function rowOf(kind, windows, { calls, events }, { requests, errors }) {
  const sorted = requests.toSorted((a, b) => a.startMs - b.startMs);
  let at = 0;
  const measured = windows.map((window) => {
    while (at < sorted.length && sorted[at].startMs < window.fromMs) at++;
    const from = at;
    while (at < sorted.length && sorted[at].startMs < window.toMs) at++;
    return { ...window, requests: sorted.slice(from, at) };
  });
  const ofSide = (isOn) => measured.filter((window) => window.isOn === isOn);
  const side = (isOn) => {
    const all = ofSide(isOn);
    const tookMs = all.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
    const percent = (one) => all.reduce((sum, { spent }) => sum + spent[one], 0) / 10 / tookMs;
    const { p50Ms } = latencies(all.flatMap((window) => window.requests));
    return { p50Ms, control: percent(0), callers: percent(1) };
  };
  const [on, off] = [side(true), side(false)];
  const [ons, offs] = [ofSide(true).map(timesOf), ofSide(false).map(timesOf)];
  const [onP99, offP99] = [ons, offs].map((times) => percentileOfGroups(times, SHARE));
  const whole = ons.map((_, pair) => pair);
  const pooled = withInterval(ons.length, (drawn) => onP99(drawn) / offP99(drawn));
  const inPairs = ratioInPairs(ons, offs);
  // Two seconds without it are a pair as well: what their ratio is away from 1 is the machine's doing.
  const same = ratioInPairs(everyOther(offs, 1), everyOther(offs, 0));
  return {
    name: kind,
    offP50Ms: off.p50Ms,
    onP50Ms: on.p50Ms,
    offP99Ms: offP99(whole),
    onP99Ms: onP99(whole),
    pooledRatio: pooled.value,
    pooledInterval: inWords(pooled),
    ratio: inPairs.value,
    interval: inWords(inPairs),
    low95: inPairs.low,
    high95: inPairs.high,
    sameInterval: inWords(same),
    offControl: off.control,
    onControl: on.control,
    onCallers: on.callers,
    calls: (calls * 1000) / (ons.length * WINDOW_MS),
    events: (events * 1000) / (ons.length * WINDOW_MS),
    requests: requests.length,
    errors,
  };
}

function timesOf({ requests }) {
  return requests.map(({ ms }) => ms);
}

function p99Of(times) {
  return percentileOfGroups([times], SHARE)([0]);
}

function everyOther(all, from) {
  return all.filter((_, index) => index % 2 === from);
}

/**
 * The middle of the ratios of each pair. A second in which the machine was elsewhere counts for one pair, while it may hold most of
 * the slowest hundredth of all requests: told by those together, the same kind was between 0.8 and 1.2.
 */
function ratioInPairs(ons, offs) {
  const count = Math.min(ons.length, offs.length);
  const ratios = Array.from({ length: count }, (_, pair) => p99Of(ons[pair]) / p99Of(offs[pair]));
  return withInterval(count, (drawn) => median(drawn.map((pair) => ratios[pair])));
}

function inWords({ low, high }) {
  return `${low.toFixed(2)} to ${high.toFixed(2)}`;
}
