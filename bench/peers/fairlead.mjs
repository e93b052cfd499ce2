/** Fairlead as it comes: access log on (to a file), TCP health checks, no state file. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../stage.mjs';
import { Missing } from './peer.mjs';

const DIST = fileURLToPath(new URL('../../dist', import.meta.url));
const MANIFEST = new URL('../../package.json', import.meta.url);

let starts = 0;

/** @satisfies {import('./peer.mjs').Peer} */
export const fairlead = {
  name: 'fairlead',
  isJustInTime: true,

  async find(bench) {
    const { status, output } = await bench.stage.run(bench.options.node, [
      commandOf(DIST),
      '--version',
    ]);
    if (status !== 0) throw new Missing(`it does not start: ${output.trim()}`);
    return JSON.parse(readFileSync(MANIFEST, 'utf8')).version;
  },

  async start({ stage, options }, task) {
    const { backends, threads = 1, tls, hasAccessLog = true, dist = DIST, isRouted = false } = task;
    const {
      isH2c = false,
      hasHttp2Backends = false,
      isUnbound = false,
      adminToken,
      tracing,
    } = task;
    const [port, adminPort] = await freePorts(2);
    const name = `fairlead-${++starts}`;
    const config = {
      ...(isH2c
        ? { listeners: [{ port, host: '127.0.0.1', h2c: true }] }
        : { port, host: '127.0.0.1' }),
      admin_port: adminPort,
      ...(adminToken !== undefined && { admin: { token: adminToken } }),
      threads,
      ...(tracing !== undefined && { tracing }),
      access_log: hasAccessLog && stage.path(`${name}.access.log`),
      log_level: 'warn',
      state_file: false,
      ...(isRouted ? routed(backends) : atTheTop(backends)),
      ...(hasHttp2Backends && { protocol: 'h2' }),
      ...(tls !== undefined && { ssl: { enabled: true, cert_file: tls.cert, key_file: tls.key } }),
    };
    const file = stage.write(`${name}.json`, JSON.stringify(config));
    const command = [commandOf(dist), '--config', file];
    const child = stage.startProxy(options.node, command, { cores: threads, isUnbound });
    return { child, port, adminPort, configFile: file };
  },
};

/** @param {string} dist a folder that was built */
export function commandOf(dist) {
  return join(dist, 'cli', 'main.js');
}

const listOf = (backends) =>
  backends.map((backend) => ({ url: `http://127.0.0.1:${backend}`, weight: 1 }));

/** The pool that needs no name. */
function atTheTop(backends) {
  return { health_check_method: 'tcp', backends: listOf(backends) };
}

function routed(backends) {
  return {
    pools: { all: { health_check: { method: 'tcp' }, backends: listOf(backends) } },
    routes: [{ path: '/', pool: 'all' }],
  };
}
