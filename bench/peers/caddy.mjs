/** Caddy's reverse_proxy, without a log. Its only TLS is 1.3, as that of the others. */
import { freePorts } from '../stage.mjs';
import { mustBeInstalled, versionOf } from './peer.mjs';

/** @satisfies {import('./peer.mjs').Peer} */
export const caddy = {
  name: 'caddy',

  async find(bench) {
    mustBeInstalled('caddy');
    return versionOf(bench, 'caddy', ['version']);
  },

  async start({ stage }, { backends, tls, hasHttp2Backends = false }) {
    const [port] = await freePorts(1);
    const config = stage.write(
      `caddy-${port}.Caddyfile`,
      `{
  admin off
  auto_https off
  default_sni 127.0.0.1
  log {
    level ERROR
  }
}
${tls === undefined ? 'http' : 'https'}://:${port} {
  bind 127.0.0.1
  ${
    tls === undefined
      ? ''
      : `tls ${tls.cert} ${tls.key} {
    protocols tls1.3
  }`
  }
  reverse_proxy ${backends.map((backend) => `127.0.0.1:${backend}`).join(' ')} {
    lb_policy round_robin
    transport http {
      keepalive_idle_conns_per_host 1024
      ${hasHttp2Backends ? 'versions h2c 2' : ''}
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
