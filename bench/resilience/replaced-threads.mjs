/**
 * Data threads are replaced again and again, under clients that come on a connection of their own for each request: one after the
 * other is found not to be trusted, finishes what it has, and ends. Nothing may be lost of it: not what it has, nor who waits in
 * the queue of its socket, nor who comes meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { exactly, shown } from './figure.mjs';
import { until } from './place.mjs';
import { Reconnecting } from './reconnecting.mjs';

const FRAGILE = new URL('fragile-threads.mjs', import.meta.url).href;
/** Five that die within a second of their start are slowed down, which is not what this is about. */
const PAUSE_MS = 1_500;

/** @satisfies {import('./figure.mjs').Experiment} */
export const replacedThreads = {
  name: 'replaced-threads',
  title: `Data threads that are replaced under ${Reconnecting.count} clients that reconnect for each request`,
  full: { replacements: 20 },
  short: { replacements: 2 },

  async run(place, { replacements }) {
    const { ports } = await place.backends(1);
    const config = { threads: 'auto', access_log: false };
    const fairlead = await place.fairlead(ports, config, { preload: FRAGILE });
    const clients = new Reconnecting(fairlead.port);
    const times = (text) => fairlead.output.split(text).length - 1;
    try {
      for (let round = 1; round <= replacements; round++) {
        fairlead.signal('SIGIO');
        await until(() => times('"event":"data_thread.died"') === round, 'the end of a thread');
        await sleep(PAUSE_MS);
      }
    } finally {
      await clients.stop();
    }
    const metrics = await fairlead.admin('/metrics');
    const [, restarts] = /^fairlead_data_thread_restarts_total (\d+)/m.exec(metrics) ?? [];
    return [
      shown('data threads', fairlead.threads),
      shown('requests', clients.requests),
      exactly('threads that were replaced', Number(restarts), replacements),
      ...clients.figures(),
    ];
  },
};
