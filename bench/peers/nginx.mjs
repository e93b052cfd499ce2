/**
 * nginx, one worker, its access log on and buffered, connections to the backends kept; with its default buffers, and as
 * a second peer with buffers that hold the bodies of this bench. By default it writes an upload of 64 KiB to a file, and
 * of a response as much as does not fit.
 */
import { freePorts } from '../stage.mjs';
import { mustBeInstalled, versionOf } from './peer.mjs';

const BIG_BUFFERS =
  'client_body_buffer_size 128k; proxy_buffers 16 16k; proxy_buffer_size 16k; proxy_busy_buffers_size 64k; proxy_max_temp_file_size 0;';

export const nginx = peer('nginx', '');
export const nginxWithBuffers = peer('nginx+buffers', BIG_BUFFERS);

/** @returns {import('./peer.mjs').Peer} */
function peer(name, buffers) {
  return {
    name,

    async find(bench) {
      mustBeInstalled('nginx', 'nginx-light');
      return versionOf(bench, 'nginx', ['-v']);
    },

    async start({ stage }, task) {
      const [port] = await freePorts(1);
      const config = stage.write(`nginx-${port}.conf`, configOf(stage.folder, port, buffers, task));
      return { child: stage.startProxy('nginx', ['-c', config]), port };
    },
  };
}

function configOf(folder, port, buffers, { backends, tls, isH2c = false, isWebSocket = false }) {
  const upgrade = isWebSocket
    ? 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; proxy_read_timeout 1h;'
    : 'proxy_set_header Connection "";';
  const protocol = isH2c ? ' http2' : '';
  const certificate =
    tls === undefined
      ? ''
      : `ssl_certificate ${tls.cert}; ssl_certificate_key ${tls.key}; ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;`;
  return `daemon off; master_process off; worker_processes 1; pid ${folder}/nginx-${port}.pid; error_log /dev/null;
events { worker_connections 16384; }
http {
  access_log ${folder}/nginx-${port}.log combined buffer=64k;
  keepalive_requests 100000000; keepalive_timeout 300s; client_max_body_size 0; ${buffers}
  client_body_temp_path ${folder}/t1; proxy_temp_path ${folder}/t2; fastcgi_temp_path ${folder}/t3;
  uwsgi_temp_path ${folder}/t4; scgi_temp_path ${folder}/t5;
  upstream backends {
    ${backends.map((backend) => `server 127.0.0.1:${backend};`).join(' ')}
    keepalive 256; keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096${tls === undefined ? protocol : ' ssl http2'}; ${certificate}
    location / {
      proxy_pass http://backends; proxy_http_version 1.1; ${upgrade}
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}
`;
}
