/** WebSocket messages: round trips over upgraded connections. */

import { fileURLToPath } from 'node:url';
import { Skipped } from '../bench.mjs';
import { webSocketEcho } from '../load.mjs';
import { untilAnswered } from '../ready.mjs';
import { freePorts } from '../stage.mjs';
import { loadedSeconds, measureLoaded } from './loaded.mjs';

const BACKEND = fileURLToPath(new URL('../backend/websocket.mjs', import.meta.url));
const CONNECTIONS = 32;

/** @satisfies {import('../bench.mjs').Scenario} */
export const webSocket = {
  name: 'websocket',
  title: 'WebSocket messages',
  about: `Messages of 64 bytes to an echo server and back, over ${CONNECTIONS} connections, one at a time on each. A "request" is one round trip.`,
  peers: ['nginx', 'haproxy', 'go', 'httpxy', 'http-proxy'],
  estimate: loadedSeconds,

  async run(bench, proxies) {
    const reason = await bench.dependencies();
    if (reason !== null) throw new Skipped(reason);
    const [port] = await freePorts(1);
    const backend = bench.stage.startLoad(process.execPath, [BACKEND, String(port)]);
    try {
      await untilAnswered({ port });
      const contestants = proxies.map((peer) => ({
        name: peer,
        peer,
        task: { backends: [port], isWebSocket: true },
      }));
      return await measureLoaded(bench, contestants, ({ stage }, target) =>
        webSocketEcho(stage, { ...target, connections: CONNECTIONS }),
      );
    } finally {
      await bench.stage.stop(backend);
    }
  },
};
