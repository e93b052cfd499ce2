/**
 * The config is reloaded every 100 ms under load, each time to another one. What stays in it must not notice: requests, WebSockets,
 * health, sessions, what clients have used of a rate limit, counters.
 */
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, get, load } from './client.mjs';
import { atMost, exactly, shown } from './figure.mjs';
import { until } from './place.mjs';

const EVERY_MS = 100;
const CONNECTIONS = 32;
const SOCKETS = 16;
/** Of those that the system gives out, one that is free may be another program's a moment later. */
const NOBODYS_PORT = 1;
const FRAME = Buffer.from('\x81\x84\0\0\0\0ping', 'latin1');
const ECHO_BYTES = 6;
const FRAME_EVERY_MS = 50;
/** Requests that a limited client may send in an hour. */
const BURST = 5;
/** Verdicts of the first checks. */
const KNOWN = 8;
const CHECK = { method: 'tcp', frequency: '1h' };
const STRATEGIES = ['round-robin', 'least-connections', 'random-two', 'peak-ewma'];
/** Garbage and working memory come and go by so much. */
const MEMORY_SLACK_MIB = 24;

const url = (port) => `http://127.0.0.1:${port}`;

/** Backends that stay, with whatever around them that changes. */
function configOf([a, b, c, dead], round) {
  const spare = `spare-${round % 7}`;
  return {
    strategy: STRATEGIES[round % STRATEGIES.length],
    timeouts: { connect: `${10 + (round % 3)}s` },
    backends: [
      { url: url(a), weight: 1 + (round % 5) },
      { url: url(b), weight: 1 + (round % 3) },
    ],
    pools: {
      // `dead` is not there: that it is down must not be found out anew each time.
      api: {
        backends: [url(c), url(dead)],
        health_check: CHECK,
        retries: { attempts: 2 + (round % 3) },
      },
      sticky: {
        backends: [url(a), url(b), url(c)],
        health_check: CHECK,
        sticky: { by: 'header', name: 'x-user' },
        max_connections: 100 + (round % 4),
      },
      limited: {
        backends: [url(c)],
        health_check: CHECK,
        rate_limit: { rate: 1, per: '1h', burst: BURST },
        slow_start: false,
        queue: { size: 10 + (round % 2), timeout: '1s' },
      },
      // Comes, is renamed, goes.
      ...(round % 3 > 0 && { [spare]: { backends: [url(c)], health_check: CHECK } }),
    },
    routes: [
      { path: '/api/', pool: 'api' },
      { path: '/sticky/', pool: 'sticky' },
      { path: '/limited/', pool: 'limited' },
      ...(round % 3 > 0 ? [{ path: '/spare/', pool: spare }] : []),
      ...Array.from({ length: round % 4 }, (_, index) => ({
        host: `${index}.example`,
        pool: 'api',
      })),
    ],
  };
}

/** A client that sends a frame now and then, and counts what comes back. */
class WebSocketClient {
  isDropped = false;
  echoes = 0;
  #socket;
  #isOver = false;

  async open(port, path) {
    this.#socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    const drop = () => {
      this.isDropped ||= !this.#isOver;
    };
    this.#socket.on('error', drop).on('close', drop);
    const fields = [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ];
    this.#socket.write(get(path, fields));
    const [head] = await once(this.#socket, 'data');
    if (!head.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(`${path}: ${head}`);
    let bytes = 0;
    this.#socket.on('data', (more) => {
      bytes += more.length;
      this.echoes = Math.floor(bytes / ECHO_BYTES);
    });
    void this.#send();
  }

  async #send() {
    while (!this.#isOver && !this.isDropped) {
      this.#socket.write(FRAME);
      await sleep(FRAME_EVERY_MS);
    }
  }

  close() {
    this.#isOver = true;
    this.#socket.destroy();
  }
}

async function openSockets(port) {
  const sockets = Array.from({ length: SOCKETS }, () => new WebSocketClient());
  await Promise.all(
    sockets.map((socket, index) => socket.open(port, index % 2 === 0 ? '/ws' : '/api/ws')),
  );
  return sockets;
}

/** Uses up what a client may send. @returns how many were taken */
async function useUp(port) {
  const client = new Client(port);
  let taken = 0;
  for (;;) {
    const { status } = await client.request(get('/limited/'));
    if (status !== 200) break;
    taken++;
  }
  client.close();
  return taken;
}

/** Each connection is a user of its own, and asks every pool in turn. */
class Load {
  sent = 0;
  isOver = false;
  failures = [];
  moves = 0;
  accepted = 0;
  /** By a backend. */
  served = 0;
  #places = new Map();

  next(connection) {
    if (this.isOver) return null;
    const number = this.sent++;
    const path = ['/', '/api/x', '/sticky/x', '/limited/x'][number % 4];
    return get(path, [`X-User: ${connection}`]);
  }

  onAnswer({ status, head, error }, request) {
    if (status === 200) this.served++;
    if (request.startsWith('GET /limited/')) {
      if (status === 200) this.accepted++;
      else if (status !== 429) this.failures.push({ status, error });
      return;
    }
    if (status !== 200) this.failures.push({ status, error });
    if (!request.startsWith('GET /sticky/')) return;
    const [, user] = /x-user: (\d+)/i.exec(request);
    const [, backend] = /x-backend: (\d+)/i.exec(head) ?? [];
    if (backend !== (this.#places.get(user) ?? backend)) this.moves++;
    this.#places.set(user, backend);
  }
}

/**
 * Resident memory at its highest in each third of the time. Garbage comes and goes, so one moment says nothing of another; the first
 * third is a process that warms up.
 */
class Highest {
  inThird = [0, 0, 0];

  add(third, miB) {
    this.inThird[third] = Math.max(this.inThird[third], miB);
  }

  get grown() {
    return this.inThird[2] - this.inThird[1];
  }
}

/** What the admin API has counted for the backends that stay. */
async function counted(fairlead) {
  let sum = 0;
  for (const pool of ['default', 'api', 'sticky', 'limited']) {
    const backends = JSON.parse(await fairlead.admin(`/pools/${pool}/backends`));
    for (const { requests } of backends) sum += requests;
  }
  return sum;
}

const flips = ({ output }) => output.match(/"event":"backend\.(up|down)"/g)?.length ?? 0;

/** @satisfies {import('./figure.mjs').Experiment} */
export const reloads = {
  name: 'reloads',
  title: `A reload every ${EVERY_MS} ms, ${CONNECTIONS} connections, ${SOCKETS} WebSockets`,
  full: { reloads: 600, isTimed: true },
  short: { reloads: 30, isTimed: false },

  async run(place, { reloads: count, isTimed }) {
    const { ports } = await place.backends(4);
    const [a, b, c] = ports;
    const all = [a, b, c, NOBODYS_PORT];
    const fairlead = await place.fairlead([a, b], {
      ...configOf(all, 0),
      threads: 'auto',
      health_check_frequency: '1h',
      access_log: false,
    });
    for (let tries = 0; flips(fairlead) < KNOWN && tries < 500; tries++) await sleep(20);
    const sockets = await openSockets(fairlead.port);
    const taken = await useUp(fairlead.port);
    const flipsBefore = flips(fairlead);
    const countedBefore = await counted(fairlead);
    const work = new Load();
    const loaded = load(
      fairlead.port,
      CONNECTIONS,
      (connection) => work.next(connection),
      (answer, request) => work.onAnswer(answer, request),
    );
    const highest = new Highest();
    let generation = 1;
    for (let round = 1; round <= count; round++) {
      const startedMs = performance.now();
      // Its own watch of the file may have been quicker.
      ({ generation } = await fairlead.reload(configOf(all, round)));
      // Only Linux tells.
      if (isTimed) highest.add(Math.floor((3 * (round - 1)) / count), fairlead.residentMiB);
      await sleep(Math.max(0, EVERY_MS - (performance.now() - startedMs)));
    }
    const echoes = sockets.map((socket) => socket.echoes);
    work.isOver = true;
    await loaded;
    const talks = (socket, index) => socket.isDropped || socket.echoes > echoes[index];
    await until(() => sockets.every(talks), 'an echo for each WebSocket').catch(() => {});
    const mute = sockets.filter((socket, index) => socket.isDropped || !talks(socket, index));
    const flipped = flips(fairlead) - flipsBefore;
    const countedNow = async () => (await counted(fairlead)) - countedBefore;
    // The last answers are counted a moment after they have arrived.
    await until(async () => (await countedNow()) >= work.served, 'the last answers').catch(
      () => {},
    );
    const known = await countedNow();
    for (const socket of sockets) socket.close();
    return [
      shown('data threads', fairlead.threads),
      shown('requests', work.sent),
      exactly('configs that were taken up', generation - 1, count),
      exactly('requests that failed', work.failures.length, 0),
      exactly('requests that the counters know', known, work.served),
      exactly('WebSockets that were dropped, or are silent', mute.length, 0),
      exactly('sessions that moved', work.moves, 0),
      exactly('requests that a limited client may send', taken, BURST),
      exactly('of those that it may not, accepted', work.accepted, 0),
      exactly('backends whose health was found out anew', flipped, 0),
      ...(isTimed
        ? [
            shown('memory, MiB at most in the second third', highest.inThird[1]),
            atMost('memory, MiB more in the last third', highest.grown, MEMORY_SLACK_MIB),
          ]
        : []),
    ];
  },
};
