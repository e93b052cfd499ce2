/** Fairlead as it comes: access log on (to a file), TCP health checks, no state file. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../stage.mjs';
import { Missing } from './peer.mjs';

const COMMAND = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const MANIFEST = new URL('../../package.json', import.meta.url);

let starts = 0;

/** @satisfies {import('./peer.mjs').Peer} */
export const fairlead = {
  name: 'fairlead',
  isJustInTime: true,

  async find(bench) {
    const { status, output } = await bench.stage.run(bench.options.node, [COMMAND, '--version']);
    if (status !== 0) throw new Missing(`it does not start: ${output.trim()}`);
    return JSON.parse(readFileSync(MANIFEST, 'utf8')).version;
  },

  async start({ stage, options }, { backends, threads = 1, tls, hasAccessLog = true }) {
    const [port, adminPort] = await freePorts(2);
    const name = `fairlead-${++starts}`;
    const config = {
      port,
      host: '127.0.0.1',
      admin_port: adminPort,
      threads,
      health_check_method: 'tcp',
      access_log: hasAccessLog && stage.path(`${name}.access.log`),
      log_level: 'warn',
      state_file: false,
      backends: backends.map((backend) => ({ url: `http://127.0.0.1:${backend}`, weight: 1 })),
      ...(tls !== undefined && { ssl: { enabled: true, cert_file: tls.cert, key_file: tls.key } }),
    };
    const file = stage.write(`${name}.json`, JSON.stringify(config));
    const child = stage.startProxy(options.node, [COMMAND, '--config', file], { cores: threads });
    return { child, port, adminPort, configFile: file };
  },
};
