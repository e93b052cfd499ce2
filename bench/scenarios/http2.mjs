/** HTTP/2 to clients and to backends, and gRPC. The load is h2load's; backends are spoken to in the clear. */
import { fileURLToPath } from 'node:url';
import { h2load } from '../load.mjs';
import { untilAnswered } from '../ready.mjs';
import { freePorts } from '../stage.mjs';
import { loadedSeconds, measureLoaded } from './loaded.mjs';
import { makeCertificate, mustHaveH2load } from './tls.mjs';

const GRPC_BACKEND = fileURLToPath(new URL('../backend/grpc.mjs', import.meta.url));
/** Of a message: not compressed, and its length (gRPC over HTTP/2, "Length-Prefixed-Message"). */
const MESSAGE_BYTES = 100;
const MESSAGE_HEAD = '\0\0\0\0d';
/** The other one of two rows: see `http2-backend` in verdicts.mjs. */
export const HTTP1_POOL = 'fairlead, HTTP/1.1 pool';

const oneBackend = ({ backend }) => backend.ports.slice(0, 1);

/**
 * @param {{ connections: number, streams: number, path?: string, isTls?: boolean }} load
 * @returns {import('../bench.mjs').Scenario}
 */
function scenarioOf({ isTls = true, ...load }, scenario) {
  const { connections, streams } = load;
  const each = streams === 1 ? 'one request at a time' : `${streams} requests at once`;
  return {
    ...scenario,
    about: `${scenario.about} ${connections} connections ${isTls ? 'over TLS' : 'in the clear'} with ${each} on each.`,
    estimate: loadedSeconds,

    async run(bench, proxies) {
      mustHaveH2load();
      const backends = oneBackend(bench);
      const task = isTls
        ? { backends, tls: await makeCertificate(bench.stage) }
        : { backends, isH2c: true };
      const contestants = proxies.map((peer) => ({ name: peer, peer, task }));
      return measureLoaded(bench, contestants, ({ stage }, target) =>
        h2load(stage, { ...target, ...load, isTls }),
      );
    },
  };
}

export const http2 = scenarioOf(
  { connections: 16, streams: 16 },
  {
    name: 'http2',
    title: 'HTTP/2',
    about: 'Small GET over HTTP/2:',
    peers: ['nginx', 'haproxy', 'caddy', 'go'],
  },
);

export const http2Clear = scenarioOf(
  { connections: 16, streams: 16, isTls: false },
  {
    name: 'http2-clear',
    title: 'HTTP/2 in the clear',
    about: 'Small GET over HTTP/2 by prior knowledge:',
    peers: ['nginx', 'haproxy'],
  },
);

export const http2OneStream = scenarioOf(
  { connections: 64, streams: 1 },
  {
    name: 'http2-one-stream',
    title: 'HTTP/2, one stream',
    about: 'Small GET over HTTP/2:',
    peers: ['nginx', 'haproxy', 'go'],
  },
);

export const http2Body64k = scenarioOf(
  { connections: 16, streams: 4, path: '/64k' },
  {
    name: 'http2-64k',
    title: 'HTTP/2, 64 KiB',
    about: 'GET with a response body of 64 KiB over HTTP/2:',
    peers: ['nginx', 'nginx+buffers', 'haproxy', 'go'],
  },
);

/** @satisfies {import('../bench.mjs').Scenario} */
export const http2Backend = {
  name: 'http2-backend',
  title: 'HTTP/2 to the backend',
  about:
    'Small GET over HTTP/2 in the clear: 16 connections with 16 requests at once on each, to a backend that speaks both, once in HTTP/2 and once in HTTP/1.1.',
  peers: [],
  estimate: (bench, [fairlead]) => loadedSeconds(bench, [fairlead, fairlead]),

  async run(bench, [fairlead]) {
    mustHaveH2load();
    const inHttp2 = {
      backends: [bench.backend.http2Port],
      hasHttp2Backends: true,
      isH2c: true,
    };
    const contestants = [
      { name: fairlead, peer: fairlead, task: inHttp2 },
      { name: HTTP1_POOL, peer: fairlead, task: { backends: oneBackend(bench), isH2c: true } },
    ];
    return measureLoaded(bench, contestants, ({ stage }, target) =>
      h2load(stage, { ...target, connections: 16, streams: 16, isTls: false }),
    );
  },
};

/** @satisfies {import('../bench.mjs').Scenario} */
export const grpc = {
  name: 'grpc',
  title: 'gRPC',
  about: `Unary calls with a message of ${MESSAGE_BYTES} bytes, which comes back, and trailers: 16 connections over TLS with 16 calls at once on each. HTTP/2 to the backend.`,
  peers: ['haproxy', 'caddy'],
  estimate: loadedSeconds,

  async run(bench, proxies) {
    mustHaveH2load();
    const { stage } = bench;
    const [port] = await freePorts(1);
    const backend = stage.startLoad(process.execPath, [GRPC_BACKEND, String(port)]);
    try {
      await untilAnswered({ port, isH2c: true });
      const tls = await makeCertificate(stage);
      const task = { backends: [port], tls, hasHttp2Backends: true };
      const contestants = proxies.map((peer) => ({ name: peer, peer, task }));
      const body = stage.write('grpc-message', MESSAGE_HEAD + 'x'.repeat(MESSAGE_BYTES));
      const fields = ['content-type: application/grpc', 'te: trailers'];
      const call = { path: '/bench.Echo/Say', body, fields, connections: 16, streams: 16 };
      return await measureLoaded(bench, contestants, (_bench, target) =>
        h2load(stage, { ...target, ...call }),
      );
    } finally {
      await stage.stop(backend);
    }
  },
};
