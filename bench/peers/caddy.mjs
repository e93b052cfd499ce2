/** Caddy's reverse_proxy, without a log. */
import { freePorts } from '../stage.mjs';
import { mustBeInstalled, versionOf } from './peer.mjs';

/** @satisfies {import('./peer.mjs').Peer} */
export const caddy = {
  name: 'caddy',

  async find(bench) {
    mustBeInstalled('caddy');
    return versionOf(bench, 'caddy', ['version']);
  },

  async start({ stage }, { backends }) {
    const [port] = await freePorts(1);
    const config = stage.write(
      `caddy-${port}.Caddyfile`,
      `{
  admin off
  auto_https off
  log {
    level ERROR
  }
}
http://:${port} {
  bind 127.0.0.1
  reverse_proxy ${backends.map((backend) => `127.0.0.1:${backend}`).join(' ')} {
    lb_policy round_robin
    transport http {
      keepalive_idle_conns_per_host 1024
    }
  }
}
`,
    );
    const command = ['run', '--config', config, '--adapter', 'caddyfile'];
    // It keeps its last config in the home folder.
    const env = { GOMAXPROCS: '1', HOME: stage.folder, XDG_DATA_HOME: stage.folder };
    return { child: stage.startProxy('caddy', command, { env }), port };
  },
};
