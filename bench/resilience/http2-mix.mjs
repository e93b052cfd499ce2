/**
 * Exchanges that go wrong in every way that clients and backends know, over all four pairs of HTTP/1.1 and HTTP/2, in the clear and over
 * TLS. Both sides know of each what it has to be: not one byte may be another, and nothing may be left in the end.
 */
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { atMost, exactly, shown } from './figure.mjs';
import { judge } from './mix/judge.mjs';
import { drawPlan } from './mix/plan.mjs';
import { until } from './place.mjs';

const MEMORY_SLACK_MIB = 64;
const LOOK_EVERY_MS = 250;
const MOST_TOLD = 10;
const CHECK = { method: 'tcp', frequency: '1h' };
const POOLS = { http1: 'http1', node: 'h2', frames: 'h2', secure: 'auto' };

/** Faults are asked for: that they fail is no reason to leave a backend alone. */
const POLICIES = {
  health_check: CHECK,
  outlier_detection: { enabled: false },
  retries: { budget_percent: 100 },
  slow_start: false,
};

/** A certificate that signs itself. */
function makeCertificate(place) {
  const files = { cert_file: place.path('a.crt'), key_file: place.path('a.key') };
  const words =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost ' +
    '-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout';
  execFileSync('openssl', [...words.split(' '), files.key_file, '-out', files.cert_file], {
    stdio: 'ignore',
  });
  return files;
}

function configOf(ports) {
  const pools = Object.entries(POOLS).map(([name, protocol]) => {
    const scheme = name === 'secure' ? 'https' : 'http';
    const backends = ports[name].map((port) => `${scheme}://127.0.0.1:${port}`);
    return [name, { ...POLICIES, protocol, backends, tls: { verify: false } }];
  });
  return {
    pools: Object.fromEntries(pools),
    routes: Object.keys(POOLS).map((name) => ({ path: `/${name}/`, pool: name })),
    threads: 'auto',
    access_log: false,
  };
}

const LEFT = {
  'requests in flight at the end': 'fairlead_backend_requests_in_flight',
  'client connections at the end': 'fairlead_client_connections',
  'bytes that wait at the end': 'fairlead_buffered_bytes',
};

const FAILURES = {
  '': 'has done its part',
  before: 'has failed before its answer',
  during: 'has failed within its answer',
  refuse: 'has refused the stream',
  unseen: 'was behind a GOAWAY',
  kill: 'has ended the connection of all',
  collateral: 'was on a connection that was ended so',
};

/** The sum of a metric over its labels. */
function sumOf(text, name) {
  let sum = 0;
  for (const line of text.split('\n')) {
    if (line.startsWith(`${name} `) || line.startsWith(`${name}{`))
      sum += Number(line.split(' ').at(-1));
  }
  return sum;
}

/** Once it has settled; what does not settle is a figure. */
async function leftOver(fairlead) {
  let left = [];
  await until(async () => {
    const text = await fairlead.admin('/metrics');
    left = Object.entries(LEFT).map(([what, name]) => exactly(what, sumOf(text, name), 0));
    return left.every(({ isReached }) => isReached);
  }, 'nothing is left').catch(() => {});
  const { backends } = JSON.parse(JSON.stringify(await fairlead.status()));
  const busy = backends.reduce((sum, { conns }) => sum + conns, 0);
  const crashes = fairlead.output.match(/"event":"connection\.crashed"/g)?.length ?? 0;
  return [...left, exactly('/status: connections in use', busy, 0), exactly('crashes', crashes, 0)];
}

/** Highest memory in each third of the time. */
async function watchMemory(fairlead, over) {
  const seen = [];
  while (!over.isOver) {
    seen.push(fairlead.residentMiB);
    await sleep(LOOK_EVERY_MS);
  }
  const third = Math.floor(seen.length / 3);
  return {
    second: Math.max(...seen.slice(third, 2 * third)),
    last: Math.max(...seen.slice(2 * third)),
  };
}

/** @returns the number of each kind */
function countBy(visits, kindOf) {
  const counts = new Map();
  for (const visit of visits) counts.set(kindOf(visit), (counts.get(kindOf(visit)) ?? 0) + 1);
  return [...counts].toSorted().map(([kind, count]) => shown(kind, count));
}

const pairOf = ({ client, backend }) =>
  `${client.startsWith('h1') ? 'HTTP/1.1' : 'HTTP/2'} to ${backend === 'http1' ? 'HTTP/1.1' : 'HTTP/2'}`;

function endOf({ visit }) {
  if (visit.code !== '') return 'ended: answered by Fairlead';
  if (visit.end === 'whole') return 'ended: whole';
  return visit.hasLeft ? 'ended: left by the client' : 'ended: cut';
}

/** Of the last attempt that has failed as it was told to. */
function failureOf({ of }) {
  const failed = of.findLast((attempt) => attempt.failed !== '');
  return `its backend: ${FAILURES[failed?.failed ?? '']}`;
}

/** @satisfies {import('./figure.mjs').Experiment} */
export const http2Mix = {
  name: 'http2-mix',
  title: 'A hostile mix over all four pairs of HTTP/1.1 and HTTP/2, every byte compared',
  full: { seed: 1, from: 0, count: 100_000, isTimed: true },
  short: { seed: 1, from: 0, count: 1_000, isTimed: false },

  async run(place, { seed, from, count, isTimed }) {
    const files = makeCertificate(place);
    const companions = place.companion('mix/backends', [
      String(seed),
      files.cert_file,
      files.key_file,
    ]);
    const { ports } = await companions.ask({});
    const fairlead = await place.fairlead([], configOf(ports), { isH2c: true, tls: files });
    const isUp = async (pool) =>
      (await fairlead.admin(`/pools/${pool}/status`)).active_backends === 2;
    await until(
      async () => (await Promise.all(Object.keys(POOLS).map(isUp))).every(Boolean),
      'all backends',
    );
    const over = { isOver: false };
    const watching = isTimed ? watchMemory(fairlead, over) : null;
    const beganMs = performance.now();
    const cpuBefore = isTimed ? fairlead.cpuSeconds : 0;
    const words = [seed, from, count, fairlead.port, fairlead.tlsPort].map(String);
    const { visits, violations } = await place.program('mix/client', words);
    const seconds = (performance.now() - beganMs) / 1000;
    const cpu = isTimed ? fairlead.cpuSeconds - cpuBefore : 0;
    over.isOver = true;
    const memory = await watching;
    const left = await leftOver(fairlead);
    const seen = await companions.ask({});
    const attempts = new Map(seen.attempts);
    const judged = visits.map((visit) => {
      const plan = drawPlan(seed, visit.index);
      const of = attempts.get(visit.index) ?? [];
      return { plan, visit, of, verdict: judge(plan, visit, of, seen.ends[plan.backend]) };
    });
    const unexpected = judged.filter(({ verdict }) => verdict !== '');
    for (const { plan, visit, of, verdict } of unexpected.slice(0, MOST_TOLD)) {
      tell({ seed, plan, visit, of, verdict, ends: seen.ends[plan.backend] });
    }
    const broken = [...violations, ...seen.violations];
    for (const rule of broken.slice(0, MOST_TOLD))
      process.stderr.write(`  a rule was broken: ${rule}\n`);
    return [
      shown('data threads', fairlead.threads),
      shown('seed', seed),
      ...countBy(judged, ({ plan }) => pairOf(plan)),
      ...countBy(judged, endOf),
      ...countBy(judged, failureOf),
      exactly('exchanges', judged.length, count),
      exactly(
        'with wrong bytes',
        judged.filter(({ verdict }) => verdict === 'wrong bytes').length,
        0,
      ),
      exactly('that came to what they must not', unexpected.length, 0),
      exactly('rules of HTTP that were broken', broken.length, 0),
      ...left,
      ...(isTimed
        ? [
            shown('seconds', seconds),
            shown('processor, ms for an exchange', (cpu * 1000) / judged.length),
            shown('memory, MiB at most in the second third', memory.second),
            atMost(
              'memory, MiB more in the last third',
              memory.last - memory.second,
              MEMORY_SLACK_MIB,
            ),
          ]
        : []),
    ];
  },
};

function tell({ seed, plan, visit, of, verdict, ends }) {
  const endMs = ends.findLast((at) => at <= visit.endedMs);
  const { bytes: _request, ...request } = plan.request;
  const { bytes: _answer, ...answer } = plan.answer;
  const { field: _field, path: _path, ...rest } = plan;
  const told = { ...rest, request, answer };
  process.stderr.write(
    `  ${verdict}: --seed ${seed} --from ${plan.index} --count 1\n    ${JSON.stringify(told)}\n    ` +
      `${JSON.stringify(visit)}\n    ${JSON.stringify(of)}\n    last end of a connection before: ${visit.endedMs - endMs} ms\n`,
  );
}
