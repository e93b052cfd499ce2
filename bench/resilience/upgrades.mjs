/**
 * Fairlead is upgraded again and again, under clients that come on a connection of their own for each request. Sockets that several
 * threads share have a queue each, and one that is closed drops whoever waits in it: none may be.
 */
import { exactly, shown } from './figure.mjs';
import { until } from './place.mjs';
import { Reconnecting } from './reconnecting.mjs';

/** @satisfies {import('./figure.mjs').Experiment} */
export const upgrades = {
  name: 'upgrades',
  title: `Upgrades under ${Reconnecting.count} clients that reconnect for each request`,
  full: { upgrades: 20 },
  short: { upgrades: 1 },

  async run(place, { upgrades: count }) {
    const { ports } = await place.backends(1);
    const fairlead = await place.fairlead(ports, { threads: 'auto', access_log: false });
    const clients = new Reconnecting(fairlead.port);
    const pids = new Set();
    const ended = () => fairlead.output.match(/"event":"stopped"/g)?.length ?? 0;
    try {
      for (let round = 1; round <= count; round++) {
        pids.add((await fairlead.admin('/upgrade', { method: 'POST' })).pid);
        await until(() => ended() === round, 'the end of the old process', 40_000);
      }
    } finally {
      await clients.stop();
      // Whoever started the first process does not know of the last one.
      for (const pid of [...pids].slice(-1)) process.kill(pid, 'SIGKILL');
    }
    return [
      shown('data threads', fairlead.threads),
      shown('requests', clients.requests),
      exactly('processes that took over', pids.size, count),
      ...clients.figures(),
    ];
  },
};
