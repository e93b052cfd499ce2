/** Requests over kept connections, and one over fresh ones: small and large, down and up. */
import { wrk } from '../load.mjs';
import { loadedScenario } from './loaded.mjs';

const NATIVE = ['nginx', 'haproxy', 'go'];
const LARGE = ['nginx', 'nginx+buffers', 'haproxy', 'go'];
const NPM = ['httpxy', 'fast-proxy', 'http-proxy', '@fastify/http-proxy'];
/** Enough to keep a proxy busy; more would measure the memory of the machine. */
const LARGE_BODY_CONNECTIONS = 16;
const UPLOAD_BYTES = 64 * 1024;

const oneBackend = ({ backend }) => ({ backends: backend.ports.slice(0, 1) });

const small = (bench, { port, seconds }) =>
  wrk(bench.stage, { port, seconds, connections: bench.options.connections });

export const smallGet = loadedScenario({
  name: 'small-get',
  title: 'Small GET',
  about: 'GET with a response body of 100 bytes, over connections that are kept.',
  peers: ['nginx', 'haproxy', 'haproxy+log', 'caddy', 'go', ...NPM],
  quickPeers: [...NATIVE, 'httpxy'],
  task: oneBackend,
  load: small,
});

/** Beside peers that keep no log either. */
export const smallGetNoLog = loadedScenario({
  name: 'small-get-no-log',
  title: 'Small GET without a log',
  about: 'As "Small GET", with the access log of Fairlead off: the peers here have none.',
  peers: ['haproxy', 'go'],
  quickPeers: ['haproxy'],
  task: (bench) => ({ ...oneBackend(bench), hasAccessLog: false }),
  load: small,
});

function body(name, title, path, connections, peers, quickPeers) {
  return loadedScenario({
    name,
    title,
    about: `GET with a response body of ${title}, over kept connections${connections === undefined ? '' : `, ${connections} of them`}.`,
    peers,
    quickPeers,
    task: oneBackend,
    load: (bench, { port, seconds }) =>
      wrk(bench.stage, {
        port,
        seconds,
        path,
        connections: connections ?? bench.options.connections,
      }),
  });
}

export const body1k = body('body-1k', '1 KiB', '/1k', undefined, NATIVE);
export const body64k = body(
  'body-64k',
  '64 KiB',
  '/64k',
  LARGE_BODY_CONNECTIONS,
  [...LARGE, ...NPM],
  NATIVE,
);
export const body1m = body('body-1m', '1 MiB', '/1m', LARGE_BODY_CONNECTIONS, LARGE, NATIVE);

export const post64k = loadedScenario({
  name: 'post-64k',
  title: 'POST 64 KiB',
  about: `POST with a request body of 64 KiB, over ${LARGE_BODY_CONNECTIONS} kept connections. The backend answers when it has read all of it.`,
  peers: [...LARGE, ...NPM],
  quickPeers: NATIVE,
  task: oneBackend,
  load({ stage }, { port, seconds }) {
    const script = stage.write(
      'upload.lua',
      `wrk.method = "POST"\nwrk.body = string.rep("x", ${UPLOAD_BYTES})\n`,
    );
    const connections = LARGE_BODY_CONNECTIONS;
    return wrk(stage, { port, seconds, connections, path: '/post', script });
  },
});

export const newConnection = loadedScenario({
  name: 'new-connection',
  title: 'New connection per request',
  about: 'Small GET, each over a connection of its own. Those to the backend are kept.',
  peers: NATIVE,
  quickPeers: NATIVE,
  task: oneBackend,
  load: ({ stage, options }, { port, seconds }) =>
    wrk(stage, {
      port,
      seconds,
      connections: options.connections,
      header: 'Connection: close',
    }),
});

function manyBackends(count) {
  return loadedScenario({
    name: `backends-${count}`,
    title: `${count} backends`,
    about: `Small GET, taking turns over ${count} backends.`,
    peers: NATIVE,
    task: ({ backend }) => ({ backends: backend.ports.slice(0, count) }),
    load: small,
  });
}

export const backends3 = manyBackends(3);
export const backends100 = manyBackends(100);
