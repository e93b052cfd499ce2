/**
 * Stands for a data thread in tests of the control plane: it listens for real, says back what it was told as log
 * messages (`stub.told`), and does what a connection's first line asks for: `die`, `throw`, `fail <id>`,
 * `faults <id>`, `log`.
 */
import net from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { applyChange, withEligibility } from '../../build/snapshot/snapshot-change.js';

let { snapshot } = workerData;
let sequence = 0;
const sockets = new Set();
const post = (message) => parentPort.postMessage(message);
const told = (message) =>
  post({
    kind: 'log',
    level: 'info',
    event: 'stub.told',
    message: JSON.stringify(message),
    fields: {},
  });

if (snapshot.listeners[0].address.host === 'die-at-start') process.exit(7);

const server = net.createServer((socket) => {
  sockets.add(socket);
  socket.on('error', () => {});
  socket.on('close', () => sockets.delete(socket));
  socket.on('data', (data) => {
    const [word, argument] = data.toString().trim().split(' ');
    if (word === 'die') process.exit(9);
    if (word === 'throw') throw new Error('the stub was told to throw');
    if (word === 'fail') {
      post({
        kind: 'connect-failed',
        backendId: Number(argument),
        code: 'ERR_BACKEND_REFUSED',
        detail: 'refused',
      });
    }
    if (word === 'faults') {
      const rule = 'consecutive_failures';
      post({ kind: 'faults-in-a-row', backendId: Number(argument), rule, detail: 'reset' });
    }
    if (word === 'log') {
      // The first block of the log ring: see log-ring.ts.
      const line = new TextEncoder().encode('{"method":"GET"}\n');
      new Uint8Array(workerData.logRing, 256).set(line);
      post({ kind: 'access-log', block: 0, length: line.length, count: 1 });
    }
    if (word === 'take') {
      // One request in flight and one client connection, never given back: offsets of counters.ts.
      const { counters } = snapshot.pools[0].backends[0];
      const share = new Int32Array(counters, 512 + workerData.threadIndex * 16, 4);
      const [headerOffset] = new Int32Array(counters, 0, 1);
      Atomics.add(new Int32Array(counters, headerOffset, 2), 0, 1);
      share[0]++;
      socket.write('taken');
    }
    socket.write(
      `${JSON.stringify({ thread: workerData.threadIndex, ids: snapshot.pools[0].eligibility.picks.map(({ id }) => id), generation: snapshot.generation })}\n`,
    );
  });
});
server.on('error', ({ code, message }) =>
  post({ kind: 'listening', sequence, opened: [], failed: [{ id: 0, code, message }] }),
);

parentPort.on('message', (message) => {
  switch (message.kind) {
    case 'listen': {
      ({ sequence } = message);
      const [{ id, address }] = message.listeners;
      server.listen({ host: address.host, port: address.port }, () => {
        const { address: host, port } = server.address();
        post({
          kind: 'listening',
          sequence,
          opened: [{ id, host, port, sockets: [] }],
          failed: [],
        });
      });
      break;
    }
    case 'snapshot':
      snapshot = applyChange(snapshot, message.change);
      post({ kind: 'applied', sequence: message.sequence });
      told({
        generation: snapshot.generation,
        ids: snapshot.pools[0].backends.map(({ id }) => id),
      });
      break;
    case 'eligibility':
      snapshot = withEligibility(snapshot, message.poolId, message.eligibility);
      post({ kind: 'applied', sequence: message.sequence });
      told(message);
      break;
    case 'drain-backend':
      told(message);
      break;
    case 'drain': {
      let resetConnections = 0;
      const timer = setTimeout(() => {
        resetConnections = sockets.size;
        for (const socket of sockets) socket.destroy();
      }, message.deadlineMs);
      server.close(() => {
        clearTimeout(timer);
        post({ kind: 'drained', resetConnections });
      });
      break;
    }
    case 'stop':
      process.exit(0);
  }
});
