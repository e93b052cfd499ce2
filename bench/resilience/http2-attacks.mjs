/**
 * Clients of HTTP/2 that cost more than they are worth, one kind after the other, beside a client that means well: what they make us
 * hold is bounded, their connections end, and the other one hardly notices.
 */
import http2 from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { latencies } from '../parse.mjs';
import { atLeast, atMost, exactly, shown } from './figure.mjs';
import { ATTACKS, LARGE, SILENT } from './http2-bursts.mjs';

const MOST_GROWTH_MIB = 64;
const MOST_SLOWER = 5;
const PAUSE_MS = 2;
const PATIENCE_MS = 10_000;
const LOOK_EVERY_MS = 100;
/** Honest clients, whose memory is no attacker's doing. */
const WARM_CLIENTS = 16;
const MIB = 1024 * 1024;

const POOL_TIMEOUTS = { response: '1s', idle: '1s' };
const TIMEOUTS = { head: '1s', keep_alive: '1s', ...POOL_TIMEOUTS };
const CHECK = { method: 'tcp', frequency: '1h' };

function poolOf(port) {
  const backends = [`http://127.0.0.1:${port}`];
  return { backends, timeouts: POOL_TIMEOUTS, health_check: CHECK };
}

function get(session) {
  return new Promise((resolve) => {
    let status = 0;
    let stream;
    try {
      stream = session.request({ ':path': '/' });
    } catch {
      // It is closed.
      resolve(false);
      return;
    }
    stream.setTimeout(PATIENCE_MS, () => stream.destroy());
    stream.on('response', (fields) => {
      status = fields[':status'];
    });
    stream.on('error', () => {});
    stream.on('close', () => resolve(status === 200 && stream.readableEnded));
    stream.resume();
  });
}

/**
 * One request after the other, until told to stop.
 * @param {{ isOver: boolean }} until
 * @returns {Promise<{ p99Ms: number, requests: number, errors: number }>}
 */
async function meansWell(port, until, pauseMs = PAUSE_MS) {
  const visits = [];
  let errors = 0;
  let session = null;
  while (!until.isOver) {
    if (session === null || session.closed) {
      session = http2.connect(`http://127.0.0.1:${port}`);
      session.on('error', () => {});
    }
    const startMs = performance.now();
    if (await get(session)) visits.push({ ms: performance.now() - startMs });
    else errors++;
    await sleep(pauseMs);
  }
  session?.destroy();
  return { p99Ms: latencies(visits).p99Ms, requests: visits.length, errors };
}

async function meansWellFor(port, ms, pauseMs) {
  const until = { isOver: false };
  const visits = meansWell(port, until, pauseMs);
  await sleep(ms);
  until.isOver = true;
  return visits;
}

/** Its highest memory, looked at until told to stop. */
async function highestMiB(fairlead, until) {
  let highest = 0;
  while (!until.isOver) {
    highest = Math.max(highest, fairlead.residentMiB);
    await sleep(LOOK_EVERY_MS);
  }
  return highest;
}

/** @returns the figures of one attack */
async function figuresOf(place, fairlead, attack, { ms, isTimed, before }) {
  const { name, isFlood } = attack;
  const restMiB = isTimed ? fairlead.residentMiB : 0;
  const until = { isOver: false };
  const visiting = meansWell(fairlead.port, until);
  const looking = isTimed ? highestMiB(fairlead, until) : 0;
  const { connections, ended, left } = await place.program('http2-attacker', [
    String(fairlead.port),
    String(ms),
    name,
  ]);
  until.isOver = true;
  const { p99Ms, requests, errors } = await visiting;
  const highest = await looking;
  return [
    shown(`${name}: connections`, connections),
    ...(isFlood ? [atLeast(`${name}: ended meanwhile`, ended, 1)] : []),
    exactly(`${name}: left of them`, left, 0),
    atLeast(`${name}: requests of the other client`, requests, 1),
    exactly(`${name}: errors of the other client`, errors, 0),
    ...(isTimed
      ? [
          atMost(`${name}: its p99 ÷ before`, p99Ms / before.p99Ms, MOST_SLOWER),
          atMost(`${name}: memory, MiB more`, highest - restMiB, MOST_GROWTH_MIB),
        ]
      : []),
  ];
}

/** @satisfies {import('./figure.mjs').Experiment} */
export const http2Attacks = {
  name: 'http2-attacks',
  title: 'Clients of HTTP/2 that attack, one kind after the other, and one that means well',
  full: { ms: 20_000, names: ATTACKS.map(({ name }) => name), warmMs: 5_000, isTimed: true },
  short: { ms: 100, names: ['rapid reset', 'PING', 'CONTINUATION'], warmMs: 0, isTimed: false },

  async run(place, { ms, names, warmMs, isTimed }) {
    const [small] = (await place.backends(1)).ports;
    // In another process: what is done to them is not done to the one of the client that means well.
    const backends = await place.backends(2);
    const [large, silent] = backends.ports;
    const fairlead = await place.fairlead(
      [small],
      {
        timeouts: TIMEOUTS,
        pools: { large: poolOf(large), silent: poolOf(silent) },
        routes: [
          { path: LARGE, pool: 'large' },
          { path: SILENT, pool: 'silent' },
        ],
        access_log: false,
      },
      { isH2c: true },
    );
    const { port } = fairlead;
    await backends.set(large, { body: 'x'.repeat(MIB) });
    await backends.set(silent, { delayMs: 60_000 });
    const warm = Array.from({ length: WARM_CLIENTS }, () => meansWellFor(port, warmMs, 0));
    await Promise.all(warm);
    const before = await meansWellFor(port, warmMs);
    const beforeMiB = isTimed ? fairlead.residentMiB : 0;
    const figures = isTimed
      ? [shown('p99 before, ms', before.p99Ms), shown('memory before, MiB', beforeMiB)]
      : [];
    for (const attack of ATTACKS.filter(({ name }) => names.includes(name))) {
      const size = { ms, isTimed, before };
      figures.push(...(await figuresOf(place, fairlead, attack, size)));
    }
    if (isTimed)
      figures.push(shown('memory after all, MiB more', fairlead.residentMiB - beforeMiB));
    return figures;
  },
};
