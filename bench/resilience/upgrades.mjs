/**
 * Fairlead is upgraded again and again, under clients that come on a connection of their own for each request. Sockets that several
 * threads share have a queue each, and one that is closed drops whoever waits in it: none may be.
 */
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { exactly, shown } from './figure.mjs';
import { until } from './place.mjs';

const CLIENTS = 64;
/** The system has some 28,000 ports for clients, and keeps each of them for a minute. */
const PAUSE_MS = 150;
const GET = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

/** @returns {Promise<string>} the status, or what went wrong */
function answerAt(port) {
  return new Promise((resolve) => {
    let text = '';
    const socket = net.connect(port, '127.0.0.1', () => socket.write(GET)).setEncoding('latin1');
    socket.on('data', (more) => {
      text += more;
    });
    socket.on('error', ({ code }) => resolve(code));
    socket.on('close', () => resolve(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 'cut off'));
  });
}

/** @satisfies {import('./figure.mjs').Experiment} */
export const upgrades = {
  name: 'upgrades',
  title: `Upgrades under ${CLIENTS} clients that reconnect for each request`,
  full: { upgrades: 20 },
  short: { upgrades: 1 },

  async run(place, { upgrades: count }) {
    const { ports } = await place.backends(1);
    const fairlead = await place.fairlead(ports, { threads: 'auto', access_log: false });
    const outcomes = new Map();
    const run = { isOver: false };
    const clients = Array.from({ length: CLIENTS }, async () => {
      while (!run.isOver) {
        const outcome = await answerAt(fairlead.port);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        await sleep(PAUSE_MS);
      }
    });
    const pids = new Set();
    const ended = () => fairlead.output.match(/"event":"stopped"/g)?.length ?? 0;
    try {
      for (let round = 1; round <= count; round++) {
        pids.add((await fairlead.admin('/upgrade', { method: 'POST' })).pid);
        await until(() => ended() === round, 'the end of the old process', 40_000);
      }
    } finally {
      run.isOver = true;
      await Promise.all(clients);
      // Whoever started the first process does not know of the last one.
      for (const pid of [...pids].slice(-1)) process.kill(pid, 'SIGKILL');
    }
    const of = (outcome) => outcomes.get(outcome) ?? 0;
    const all = [...outcomes.values()].reduce((sum, one) => sum + one, 0);
    return [
      shown('data threads', fairlead.threads),
      shown('requests', all),
      exactly('processes that took over', pids.size, count),
      exactly('connections that were reset', of('ECONNRESET') + of('cut off'), 0),
      exactly('connections that were refused', of('ECONNREFUSED'), 0),
      exactly('requests that were not answered with 200', all - of('200'), 0),
    ];
  },
};
