/** HAProxy, one thread; without a log, as most measure it, and as a second peer with one. */
import { freePorts } from '../stage.mjs';
import { mustBeInstalled, versionOf } from './peer.mjs';

export const haproxy = peer('haproxy', { log: '', options: '' });
export const haproxyWithLog = peer('haproxy+log', {
  log: 'log stdout format raw local0 info',
  options: 'log global\n  option httplog',
});

/** @returns {import('./peer.mjs').Peer} */
function peer(name, logging) {
  return {
    name,

    async find(bench) {
      mustBeInstalled('haproxy');
      return versionOf(bench, 'haproxy', ['-v']);
    },

    async start({ stage }, task) {
      const [port] = await freePorts(1);
      const config = stage.write(`haproxy-${port}.cfg`, configOf(port, task, logging));
      const output = stage.path(`haproxy-${port}.log`);
      return { child: stage.startProxy('haproxy', ['-q', '-f', config], { output }), port };
    },
  };
}

function configOf(port, { backends, tls, isH2c = false, hasHttp2Backends = false }, logging) {
  const protocol = isH2c ? 'proto h2' : '';
  const certificate =
    tls === undefined
      ? protocol
      : `ssl crt ${tls.both} alpn h2,http/1.1 ssl-min-ver TLSv1.3 ciphersuites TLS_AES_128_GCM_SHA256`;
  return `global
  nbthread 1
  maxconn 9000
  ${logging.log}
defaults
  mode http
  timeout connect 2s
  timeout client 75s
  timeout server 10s
  timeout tunnel 1h
  option forwardfor
  ${logging.options}
frontend all
  bind 127.0.0.1:${port} ${certificate}
  default_backend servers
backend servers
  balance roundrobin
  http-reuse always
${backends.map((backend) => `  server s${backend} 127.0.0.1:${backend} check ${hasHttp2Backends ? 'proto h2' : ''}\n`).join('')}`;
}
