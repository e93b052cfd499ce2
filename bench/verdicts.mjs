/** What Fairlead must reach, and whether it does. */
import { HTTP1_POOL } from './scenarios/http2.mjs';

/**
 * @typedef {object} Target
 * @property {string} scenario
 * @property {(row: import('./bench.mjs').Row) => boolean} rows which of its rows
 * @property {string} key the figure
 * @property {string} what the figure in words; the row's name is put for `{}`
 * @property {number} most what it may be
 * @property {string} unit
 *
 * @typedef {object} Verdict
 * @property {string} scenario its title
 * @property {string} what
 * @property {number} most
 * @property {number | null} is null: not measured
 * @property {string} unit
 * @property {'reached' | 'missed' | 'not measured' | 'too many errors' | 'machine was busy' | 'not certain'} outcome
 */

const named = (name) => (row) => row.name === name;

/** CPU per request, as a multiple of a peer's. */
function ratio(scenario, peer, most) {
  const what = `CPU per request ÷ ${peer}`;
  return { scenario, rows: named(peer), key: 'ratio', what, most, unit: '×' };
}

function idleConnection(scenario, most) {
  const rows = named('fairlead');
  return { scenario, rows, key: 'perConnectionKiB', what: 'memory of each', most, unit: 'KiB' };
}

function strategies(count, key, what, most, unit) {
  return { scenario: 'pick', rows: ({ backends }) => backends === count, key, what, most, unit };
}

/** @param name hosts × routes */
function lookUps(name, key, what, most, unit) {
  return { scenario: 'routes', rows: named(name), key, what, most, unit };
}

function manyPools(key, what, most, unit) {
  const rows = named('200 pools');
  return { scenario: 'many-pools', rows, key, what: `{}: ${what}`, most, unit };
}

function builds(name, what) {
  return { scenario: 'builds', rows: named(name), key: 'dearerPercent', what, most: 2, unit: '%' };
}

/** What another client feels beside a load, as a multiple of what it feels with HAProxy. */
function secondClient(load, key, what, most) {
  const rows = (row) => row.name === 'haproxy' && row.load === load;
  return { scenario: 'latency', rows, key, what, most, unit: '×' };
}

/** @type {readonly Target[]} */
const TARGETS = [
  ratio('small-get', 'haproxy', 1.15),
  ratio('small-get', 'nginx', 1.2),
  ratio('small-get', 'go', 0.35),
  ratio('small-get', 'httpxy', 0.3),
  ratio('small-get', 'fast-proxy', 0.3),
  ratio('small-get', 'http-proxy', 0.3),
  ratio('small-get', '@fastify/http-proxy', 0.3),
  ratio('small-get-no-log', 'haproxy', 1.15),
  ratio('small-get-no-log', 'go', 0.35),
  ...['body-64k', 'body-1m'].flatMap((body) => [
    ratio(body, 'nginx', 0.9),
    ratio(body, 'haproxy', 1.2),
    ratio(body, 'go', 1),
  ]),
  ratio('post-64k', 'nginx', 1),
  ratio('new-connection', 'haproxy', 2),
  ratio('tls', 'nginx', 1.15),
  ratio('tls', 'haproxy', 1.15),
  ratio('http2', 'haproxy', 1.1),
  ratio('http2', 'nginx', 0.9),
  ratio('http2-clear', 'haproxy', 1.15),
  ratio('http2-one-stream', 'haproxy', 1.35),
  ratio('http2-64k', 'haproxy', 1),
  ...['http2', 'http2-one-stream', 'http2-64k'].map((scenario) => ratio(scenario, 'go', 0.25)),
  ratio('http2-backend', HTTP1_POOL, 0.85),
  ratio('grpc', 'caddy', 0.3),
  ratio('grpc', 'haproxy', 1.2),
  idleConnection('idle', 6),
  idleConnection('http2-idle', 16),
  idleConnection('http2-idle-tls', 70),
  strategies(100, 'ns', '{} backends', 300, 'ns'),
  // Reading the heap's size takes a little of the heap: less than one byte a pick is none.
  strategies(100, 'bytes', '{} backends: allocated', 1, 'bytes'),
  strategies(1_000, 'flipMs', '{} backends: a flip', 1, 'ms'),
  lookUps('1 × 10', 'ns', '{} routes', 150, 'ns'),
  lookUps('1000 × 10', 'ns', '{} routes', 400, 'ns'),
  ...['1 × 10', '1000 × 10'].map((name) =>
    lookUps(name, 'bytes', '{} routes: allocated', 1, 'bytes'),
  ),
  {
    scenario: 'tail',
    rows: named('fairlead, left alone'),
    key: 'ratio',
    what: 'p99 with reloads and scrapes ÷ without: no visible step',
    most: 1.25,
    unit: '×',
  },
  ...['50 %', '80 %'].flatMap((load) => [
    secondClient(load, 'p50Ratio', `p50 ÷ {} at ${load} of capacity`, 1.15),
    secondClient(load, 'p99Ratio', `p99 ÷ {} at ${load} of capacity`, 1.3),
  ]),
  {
    scenario: 'changes',
    rows: named('fairlead'),
    key: 'errors',
    what: 'failed requests',
    most: 0,
    unit: 'requests',
  },
  {
    scenario: 'admin-floods',
    rows: ({ name }) => name !== 'elsewhere',
    key: 'ratio',
    what: '{}: p99 with ÷ without',
    most: 1.1,
    unit: '×',
  },
  {
    scenario: 'certificates',
    rows: named('fairlead'),
    key: 'errors',
    what: 'failed connections',
    most: 0,
    unit: 'connections',
  },
  builds('fairlead', 'CPU per request, more than before'),
  builds('fairlead, one route', 'CPU per request with one route, more than without'),
  manyPools('startMs', 'start', 2_000, 'ms'),
  manyPools('reloadMs', 'reload', 300, 'ms'),
  manyPools('moreMiB', 'memory above 1 pool', 60, 'MiB'),
];

/** When other programs had more than this of the proxy's core in the middle round, the figures say nothing. */
const MOST_OF_OTHERS_PERCENT = 10;

/** More failures than this share of the requests, and a figure says nothing. */
const MOST_ERRORS = 0.001;

/**
 * @param {readonly { name: string, title: string, rows: readonly import('./bench.mjs').Row[] }[]} results
 * @param {readonly string[]} chosen the scenarios that this run was asked for; targets of others are left out
 * @returns {Verdict[]}
 */
export function judge(results, chosen, targets = TARGETS) {
  return targets
    .filter(({ scenario }) => chosen.includes(scenario))
    .flatMap((target) => {
      const { scenario, key, most, unit } = target;
      const result = results.find(({ name }) => name === scenario);
      const rows = result?.rows.filter(target.rows) ?? [];
      const title = result?.title ?? scenario;
      const own = result?.rows.find(named('fairlead'));
      if (rows.length === 0) {
        const what = target.what.replace('{} ', '');
        return [{ scenario: title, what, most, is: null, unit, outcome: 'not measured' }];
      }
      return rows.map((row) => ({
        scenario: title,
        what: target.what.replace('{}', row.name),
        most,
        is: row[key],
        unit,
        outcome: outcomeOf(row[key], most, [row, own, ...besideOf(row, result.rows)]),
      }));
    });
}

/** Whom it is compared with, where it says so. */
function besideOf({ beside }, rows) {
  return beside === undefined ? [] : rows.filter(named(beside));
}

function outcomeOf(value, most, rows) {
  if (rows.some((row) => row?.errors > row?.requests * MOST_ERRORS)) return 'too many errors';
  if (typeof value !== 'number') return 'not measured';
  if (rows.some((row) => row?.othersPercent > MOST_OF_OTHERS_PERCENT)) return 'machine was busy';
  const [{ low95, high95 }] = rows;
  if (low95 <= most && high95 > most) return 'not certain';
  // As the table shows it.
  return Math.round(value * 100) / 100 <= most ? 'reached' : 'missed';
}
